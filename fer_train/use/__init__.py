"""A trained model at work: predictions, exports."""
