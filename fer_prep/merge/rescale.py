"""The row of a sample whose raster gets another size: every coordinate goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from fer_prep.samples_table import Row

PIXEL_COLUMNS: Final = ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right")
"""Columns in pixels of the stored raster, as x, y."""


def rescale_row(row: Mapping[str, Any], *, old_size: int, size: int) -> Row:
    """The row of a sample whose raster went from ``old_size`` to ``size``: pixel coordinates and pixel size follow."""
    if old_size == size:
        return dict(row)
    scale = size / old_size
    changed: Row = dict(row)
    for name in PIXEL_COLUMNS:
        changed[name] = np.asarray(row[name], np.float64) * scale
    changed["mm_per_pixel"] = row["mm_per_pixel"] / scale
    # the centre of the new pixel (0, 0) lies at 0.5 / scale old pixels from the corner, not at 0.5; y points up
    shift = (0.5 / scale - 0.5) * np.float64(row["mm_per_pixel"])
    changed["origin_mm"] = np.asarray(row["origin_mm"], np.float64) + np.array([shift, -shift])
    changed["filled_pixels"] = round(int(row["filled_pixels"]) * scale * scale)
    return changed
