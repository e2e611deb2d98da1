"""Another raster size for a stored sample: each modality in the way that fits it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_STEP: Final = 500
"""Neighbouring depths that differ by more than so many units (5 mm) are two surfaces: nothing lies between them."""


def resize_rgb(rgb: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """(H, W, 3) → (size, size, 3): averaged over areas when shrinking, bilinear when growing."""
    if rgb.shape[:2] == (size, size):
        return rgb
    shrinks = size < min(rgb.shape[:2])
    return cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)  # type: ignore[return-value]


def resize_depth(depth: NDArray[np.uint16], *, size: int) -> NDArray[np.uint16]:
    """(H, W) stored depth → (size, size); 0 stays *no data* and is never mixed into a value.

    A pixel is valid where the nearest source pixel is. Its value is bilinear between four valid neighbours on one
    surface, else that of the nearest: nothing is interpolated over a hole or across an edge.
    """
    if depth.shape == (size, size):
        return depth
    (top, bottom, down), (left, right, across) = (_neighbours(length, size) for length in depth.shape)
    corners = [depth[np.ix_(ys, xs)].astype(np.int32) for ys in (top, bottom) for xs in (left, right)]
    low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
    fy, fx = down[:, None], across[None, :]
    blend = (corners[0] * (1 - fx) + corners[1] * fx) * (1 - fy) + (corners[2] * (1 - fx) + corners[3] * fx) * fy
    nearest = depth[np.ix_(_nearest(depth.shape[0], size), _nearest(depth.shape[1], size))]
    one_surface = (low > 0) & (high - low <= MAX_STEP)
    return np.where(one_surface & (nearest > 0), np.rint(blend), nearest).astype(np.uint16)


def _neighbours(length: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The two source pixels around each output centre, and the weight of the second."""
    place = (np.arange(size) + 0.5) * length / size - 0.5
    first = np.floor(place).astype(np.int64)
    return np.clip(first, 0, length - 1), np.clip(first + 1, 0, length - 1), place - first


def _nearest(length: int, size: int) -> NDArray[np.int64]:
    """The source pixel that each output centre falls into."""
    return np.floor((np.arange(size) + 0.5) * length / size).astype(np.int64)
