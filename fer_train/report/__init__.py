"""Figures and pages of a run."""
