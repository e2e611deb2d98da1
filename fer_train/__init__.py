"""Cross-validated training of two-stream RGB-D expression classifiers from a fer-rgbd dataset.

Needs torch and timm; needs none of fer-prep's preparation libraries.
"""

__version__ = "0.1.0"
