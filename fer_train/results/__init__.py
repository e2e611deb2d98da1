"""What a run leaves: numbers, tables, figures, the report, the model file."""
