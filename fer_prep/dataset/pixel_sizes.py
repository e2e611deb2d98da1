"""How large a pixel of a stored sample is, in millimetres at the face: by its camera, else by its eyes' distance."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import DatasetFileError

EYE_DISTANCE_MM: Final = 63.0
"""Mean distance between adults' pupils (Dodgson 2004, Variation and extrema of human interpupillary distance); its
standard deviation is 6 %."""


class PixelSizes(NamedTuple):
    """Of the N samples of a dataset."""

    mm: NDArray[np.float64]
    """(N,)"""
    estimated: NDArray[np.bool_]
    """(N,) whether no camera is known, so that the eyes had to say it."""


def pixel_sizes_mm(data: DatasetFile) -> PixelSizes:
    """Parallel rays: as stored. Central ones: at the sample's mean distance. Else: eyes ``EYE_DISTANCE_MM`` apart.

    Raises DatasetFileError that names a sample of which neither is known.
    """
    sizes = data.column("mm_per_pixel").astype(np.float64)
    focal = data.column("focal_px").astype(np.float64)
    central = np.isnan(sizes) & np.isfinite(focal)
    if central.any():
        steps = data.statistic("depth_sum") / np.maximum(data.statistic("valid_pixels"), 1) - 1
        distance = steps * data.depth_unit_mm - data.column("depth_offset_mm")
        sizes[central] = (distance / focal)[central]
    estimated = np.isnan(sizes)
    across = data.column("left_eye").astype(np.float64) - data.column("right_eye")
    sizes[estimated] = EYE_DISTANCE_MM / np.hypot(*across.T)[estimated]
    unknown = np.flatnonzero(~np.isfinite(sizes) | (sizes <= 0))
    if len(unknown):
        raise DatasetFileError(
            f"{data.ids[unknown[0]]}: neither a camera nor eyes are known, so the size of its pixels is not",
            path=data.path,
            hint="prepare it with landmarks",
        )
    return PixelSizes(sizes, estimated)
