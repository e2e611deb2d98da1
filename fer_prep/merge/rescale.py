"""What follows the pixels when a sample gets another raster size: every coordinate, and the camera.

Stored coordinates are in pixel centres: the centre of the first pixel is 0, so x becomes (x + 0.5) s − 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.landmark_set import LandmarkSet
from fer_prep.samples_table import Row

PIXEL_COLUMNS: Final = ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right", "principal_px")
"""Columns in pixels of the stored raster, as x, y."""


def rescale_pixels(points: Any, *, scale: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """(…, 2) coordinates in pixel centres on a raster ``scale`` times as large."""
    return (np.asarray(points, np.float64) + 0.5) * scale - 0.5


def rescale_row(row: Mapping[str, Any], *, old_size: int, size: int) -> Row:
    """The row of a sample whose raster went from ``old_size`` to ``size`` pixels."""
    changed: Row = dict(row)
    if old_size == size:
        return changed
    scale = size / old_size
    for name in PIXEL_COLUMNS:
        changed[name] = rescale_pixels(row[name], scale=scale)
    changed["focal_px"] = row["focal_px"] * scale
    changed["mm_per_pixel"] = row["mm_per_pixel"] / scale
    # where the centre of the new pixel (0, 0) lies in old pixels, along the turned axes; x right, y up
    shift = (0.5 / scale - 0.5) * np.float64(row["mm_per_pixel"])
    roll = np.radians(np.nan_to_num(np.float64(row["roll_degrees"])))
    turned = np.array([np.cos(roll) - np.sin(roll), -np.sin(roll) - np.cos(roll)])
    changed["origin_mm"] = np.asarray(row["origin_mm"], np.float64) + shift * turned
    changed["filled_pixels"] = round(int(row["filled_pixels"]) * scale * scale)
    return changed


def rescale_landmarks(landmarks: LandmarkSet, *, scale: NDArray[np.float64]) -> LandmarkSet:
    """``scale`` (N,) is how many times as large each sample's raster became; millimetres stay."""
    points = rescale_pixels(landmarks.points_px, scale=scale[:, None, None]).astype(np.float32)
    unchanged = (scale == 1)[:, None, None]
    return LandmarkSet(
        names=landmarks.names,
        points_px=np.where(unchanged, landmarks.points_px, points),
        points_mm=landmarks.points_mm,
        vertex=landmarks.vertex,
    )
