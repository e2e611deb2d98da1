"""Synthetic people in the native on-disk formats of the four datasets, so that everything can be tried without a licence."""

from fer_prep.sample_data.write import SampleDataSummary, write_sample_data

__all__ = ["SampleDataSummary", "write_sample_data"]
