"""What lies under a point of a picture: the value of the pixel that it falls into, and its place in millimetres."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fer_prep.geometry.stored_camera import StoredCamera
from fer_prep.sample import Frame

Array = NDArray[np.float64]


def values_under(raster: NDArray[np.floating], points_px: NDArray[np.floating], *, around: int = 0) -> Array:
    """(L,) or (L, K) of a raster (H, W) or (H, W, K), NaN where unknown, at points (L, 2) of continuous pixels.

    The value of the pixel that a point lies in; of a raster (H, W) the median of those up to ``around`` pixels beside
    it that are known. NaN outside the raster and where nothing is known.
    """
    height, width = raster.shape[:2]
    inside = ((points_px >= 0) & (points_px < (width, height))).all(axis=1)
    column, row = points_px[inside].astype(np.int64).T
    found = np.full((len(points_px), *raster.shape[2:]), np.nan)
    if not around:
        found[inside] = raster[row, column]
        return found
    side = 2 * around + 1
    windows = sliding_window_view(np.pad(raster, around, constant_values=np.nan), (side, side))
    seen = windows[row, column].reshape(len(row), side**2)
    known = np.isfinite(seen).any(axis=1)
    found[np.flatnonzero(inside)[known]] = np.nanmedian(seen[known], axis=1)
    return found


def points_under(frame: Frame, points_px: Array, *, roll_degrees: float = 0.0, around: int = 0) -> Array:
    """(L, 3) mm in the source's own frame of the surface that is seen at ``points_px`` (L, 2) of the frame.

    ``roll_degrees`` is what framing removed; ``around`` as for ``values_under``. NaN where a point lies outside the
    frame or over a hole, and everywhere where the frame is not metric.
    """
    x, y = (points_px - 0.5).T
    z_mm = values_under(frame.z_mm, points_px, around=around)
    points_mm = camera_of(frame, roll_degrees=roll_degrees).points_at(x, y, z_mm)
    points_mm[~np.isfinite(points_mm).all(axis=1)] = np.nan
    return points_mm


def camera_of(frame: Frame, *, roll_degrees: float = 0.0) -> StoredCamera:
    """The camera of a frame's pixels; ``roll_degrees`` is what framing removed."""
    column, row = frame.principal_px
    return StoredCamera(
        mm_per_pixel=frame.mm_per_pixel,
        origin_mm=frame.origin_mm,
        focal_px=frame.focal_px,
        principal_px=(column - 0.5, row - 0.5),
        roll_degrees=roll_degrees,
        depth_offset_mm=math.nan,
    )
