"""How large a pixel of a stored sample is, in millimetres at the face: by its camera, else by its eyes' distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import DatasetFileError

EYE_DISTANCE_MM: Final = 63.0
"""Mean distance between adults' pupils (Dodgson 2004, Variation and extrema of human interpupillary distance); its
standard deviation is 6 %."""


COLUMNS: Final = ("mm_per_pixel", "focal_px", "depth_offset_mm", "left_eye", "right_eye")
"""Of a samples table, that say how large a pixel is."""


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
    found = pixel_sizes_by({name: data.column(name) for name in COLUMNS}, middle_mm=middle_mm(data))
    unknown = np.flatnonzero(np.isnan(found.mm))
    if len(unknown):
        raise DatasetFileError(
            f"{data.ids[unknown[0]]}: neither a camera nor eyes are known, so the size of its pixels is not",
            path=data.path,
            hint="prepare it with landmarks",
        )
    return found


def middle_mm(data: DatasetFile) -> NDArray[np.float64]:
    """(N,) how far the mean of a sample's depth lies behind its nearest point; NaN where no depth is stored."""
    if "depth" not in data.modalities:
        return np.full(data.n, np.nan)
    steps = data.statistic("depth_sum") / np.maximum(data.statistic("valid_pixels"), 1) - 1
    return steps * data.depth_unit_mm


def pixel_sizes_by(columns: Mapping[str, NDArray[Any]], *, middle_mm: NDArray[np.float64]) -> PixelSizes:
    """By ``COLUMNS`` of a samples table, (n,) or (n, 2) each; NaN where neither camera nor eyes are known."""
    known = {name: columns[name].astype(np.float64) for name in COLUMNS}
    sizes, focal = known["mm_per_pixel"], known["focal_px"]
    sizes = np.where(np.isnan(sizes), (middle_mm - known["depth_offset_mm"]) / focal, sizes)
    estimated = np.isnan(sizes)
    across = np.hypot(*(known["left_eye"] - known["right_eye"]).T)
    sizes = np.where(estimated, EYE_DISTANCE_MM / np.where(across > 0, across, np.nan), sizes)
    return PixelSizes(np.where(sizes > 0, sizes, np.nan), estimated)
