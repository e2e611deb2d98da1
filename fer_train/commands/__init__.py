"""The commands of fer-train: options, one library call, what is printed."""
