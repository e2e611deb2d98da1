"""Raw 3D facial-expression datasets → registered RGB-D samples → one HDF5 dataset with honest folds.

The pipeline, left to right, one module or package per step::

    sources ──▶ prepare ──▶ prepared_folder ──▶ merge ──▶ global_file ──▶ folds
    (native      (scene →     (PNG pairs and     (streams     (the HDF5      (subject-disjoint
     files)       framed       tables, atomic,    into HDF5)   contract)      manifests)
                  RGB-D)       resumable)

Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
