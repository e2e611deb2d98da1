"""From the HDF5 file to batches on the device: in memory or streamed, augmented, normalised."""
