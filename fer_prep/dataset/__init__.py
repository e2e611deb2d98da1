"""The HDF5 dataset file: its shape, reading it, writing it."""
