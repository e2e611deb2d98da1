"""The prepared folder: its files, records of what is up to date, and its one writer."""
