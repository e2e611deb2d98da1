"""The HDF5 contract ``fer-rgbd``: schema, reader, writer, shards."""
