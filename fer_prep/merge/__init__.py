"""Prepared folders → one HDF5 dataset."""
