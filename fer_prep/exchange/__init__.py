"""Ways out of the format and into it."""
