"""The ``fer-train`` program."""
