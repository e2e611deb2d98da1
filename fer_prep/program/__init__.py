"""What both programs are made of at the terminal: entry point, errors, console, settings of a workspace, diagnosis."""
