"""Questions asked of trained runs, and searches over settings."""
