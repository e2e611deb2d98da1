"""Metric depth ↔ the stored ``uint16``: 0 is *no data* and only that, larger is farther."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

UNIT_MM: Final = 0.01
"""One step of the stored depth."""

RANGE_MM: Final = (np.iinfo(np.uint16).max - 1) * UNIT_MM
"""How far behind the nearest point depth can be stored: 655.34 mm."""


KEPT_WITHIN_MM: Final = 1.0
"""An earlier reference no farther in front of the nearest point than this is kept."""


def encode_depth(
    z_mm: NDArray[np.floating], valid: NDArray[np.bool_], *, offset_mm: float = float("nan")
) -> tuple[NDArray[np.uint16], float]:
    """Encode heights toward the camera; return the raster and ``depth_offset_mm`` (z of stored value 1).

    ``z_mm`` (H, W) in mm, +z toward the camera; ``valid`` (H, W). The reference lies less than one unit in front
    of the nearest valid point; or it is ``offset_mm``, what these heights were encoded against before, where that is
    near (``KEPT_WITHIN_MM``): then a depth map comes back as it was. Points more than ``RANGE_MM`` behind it (a wall
    behind a head) become no data.
    The offset is NaN where nothing is valid.
    """
    seen = valid & np.isfinite(z_mm)
    nearest_mm = np.float64(z_mm[seen].max(initial=-np.inf))
    if nearest_mm == -np.inf:
        return np.zeros(z_mm.shape, np.uint16), float("nan")
    # float32 is what files keep of the offset: encode against that very number, rounded to the front.
    offset = np.float32(np.ceil(nearest_mm / UNIT_MM) * UNIT_MM)
    if offset < nearest_mm:
        offset = np.nextafter(offset, np.float32(np.inf), dtype=np.float32)
    if 0 <= offset_mm - nearest_mm + UNIT_MM / 2 <= KEPT_WITHIN_MM:
        offset = np.float32(offset_mm)
    # the whole raster: picking the valid pixels out and putting them back takes longer than they do
    steps = z_mm.astype(np.float64)
    np.subtract(np.float64(offset), steps, out=steps)
    steps /= UNIT_MM
    np.rint(steps, out=steps)
    seen &= steps < np.iinfo(np.uint16).max
    with np.errstate(invalid="ignore"):  # what is not seen may be any number, and none
        encoded = steps.astype(np.uint16)
    encoded += 1
    encoded *= seen
    return encoded, float(offset)


def decode_depth(
    encoded: NDArray[np.uint16], depth_offset_mm: float, *, unit_mm: float = UNIT_MM
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return heights toward the camera (H, W) float32 in mm (NaN = no data) and the mask of valid pixels."""
    valid = encoded > 0
    z_mm = np.full(encoded.shape, np.nan, np.float32)
    z_mm[valid] = depth_offset_mm - (encoded[valid].astype(np.float64) - 1) * unit_mm
    return z_mm, valid
