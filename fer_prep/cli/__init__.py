"""The ``fer-prep`` program, and what both programs share at the terminal."""
