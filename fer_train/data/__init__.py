"""From the HDF5 file to batches on the device: resident or streamed, augmented, normalised."""
