"""Rasters through a similarity: colour with area-aware interpolation, depth in millimetres and never across holes.

All matrices here are (2, 3) and map source to output pixels in *continuous* coordinates (pixel k spans [k, k + 1)).
OpenCV puts integers at pixel centres, so its matrices differ by half a pixel on both sides: see ``opencv_matrix``.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_STEP_MM: Final = 6.0
"""Neighbours further apart in depth than this are two surfaces, not one: a face seen at 1.5 mm a pixel reaches 6 mm
between pixels only where it is steeper than 75°."""

Matrix = NDArray[np.float64]
"""(2, 3) float64: source to output pixels, continuous coordinates."""
Number = TypeVar("Number", bound=np.generic)


def opencv_matrix(matrix: Matrix) -> Matrix:
    """The same map for integer-centre coordinates: both spaces shifted by half a pixel."""
    shifted = np.array(matrix, np.float64)
    shifted[:, 2] += shifted[:, :2] @ [0.5, 0.5] - 0.5
    return shifted


def transform_points(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Map points (..., 2) by ``matrix``."""
    return (np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]).astype(np.float64)


def inverse_matrix(matrix: Matrix) -> Matrix:
    """The map back from output to source pixels."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]]).astype(np.float64)


def matrix_scale(matrix: Matrix) -> float:
    """Output pixels per source pixel."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def warp_rgb(rgb: NDArray[np.uint8], matrix: Matrix, *, size: int) -> NDArray[np.uint8]:
    """See ``rgb`` (H, W, 3) u1 sRGB through ``size`` × ``size`` pixels; black where the picture ends.

    Enlarging is cubic. Shrinking takes several cubic samples a pixel, at least one per source pixel, and averages
    them in linear light, as a coarser sensor would: averaging sRGB values themselves darkens fine bright detail.
    """
    samples = max(1, math.ceil(1 / matrix_scale(matrix) - 1e-9))
    fine = cv2.warpAffine(rgb, opencv_matrix(matrix * samples), (size * samples, size * samples), flags=cv2.INTER_CUBIC)
    if samples == 1:
        return np.asarray(fine, np.uint8)
    to_linear, to_srgb = _srgb_tables()
    mean = cv2.resize(to_linear[np.asarray(fine, np.uint8)], (size, size), interpolation=cv2.INTER_AREA)
    return to_srgb[np.rint(mean).astype(np.uint16)]


@cache
def _srgb_tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """sRGB byte → linear light on 0…65535, and back (IEC 61966-2-1): tables, so that every machine rounds alike."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = np.arange(65536) / 65535
    back = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (linear * 65535).astype(np.float32), np.rint(back * 255).astype(np.uint8)


def warp_mask(mask: NDArray[np.bool_], matrix: Matrix, *, size: int) -> NDArray[np.bool_]:
    """See a mask (H, W) through ``size`` × ``size`` pixels: true where the pixel hit by the ray is true."""
    x, y = _source_coordinates(matrix, size=size, raster_shape=mask.shape)
    return np.pad(mask, 1)[y.astype(np.intp), x.astype(np.intp)]


def warp_depth(
    z_mm: NDArray[np.floating], valid: NDArray[np.bool_], matrix: Matrix, *, size: int, max_step_mm: float = MAX_STEP_MM
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """See a depth map through ``size`` × ``size`` pixels; return z (NaN = no data) and the mask.

    ``z_mm`` (H, W) in mm, ``valid`` (H, W). A pixel is valid exactly where its ray hits a valid source pixel. It is
    interpolated between the four pixel centres around the ray where they are all valid and within ``max_step_mm``
    of each other, and is the value of the pixel hit otherwise: neither holes nor edges bleed.
    """
    rows, columns = _seen_window(matrix, size=size, raster_shape=valid.shape)
    z_mm, valid = z_mm[rows, columns], valid[rows, columns]
    matrix = matrix @ [[1, 0, columns.start], [0, 1, rows.start], [0, 0, 1]]
    heights = np.pad(np.where(valid, z_mm, np.nan).astype(np.float32), 1, constant_values=np.nan)
    x, y = _source_coordinates(matrix, size=size, raster_shape=valid.shape)
    warped = _heights_at(x, y, heights=heights, max_step_mm=max_step_mm)
    return warped, np.isfinite(warped)


def _seen_window(matrix: Matrix, *, size: int, raster_shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the raster that the output can see, and their neighbours: the rest need not be touched."""
    outline = transform_points(np.array([[0, 0], [size, 0], [0, size], [size, size]]), inverse_matrix(matrix))
    first, last = np.floor(outline.min(axis=0)) - 2, np.ceil(outline.max(axis=0)) + 2
    height, width = raster_shape
    left, right = (int(end) for end in np.clip([first[0], last[0]], 0, width))
    top, bottom = (int(end) for end in np.clip([first[1], last[1]], 0, height))
    return slice(top, bottom), slice(left, right)


def _heights_at(
    x: NDArray[np.float32], y: NDArray[np.float32], *, heights: NDArray[np.float32], max_step_mm: float
) -> NDArray[np.float32]:
    """Heights (r, c) where rays hit the padded raster ``heights`` (NaN = no data) at continuous ``x``, ``y`` (r, c)."""
    hit = _look_up(heights, x, y)
    # pixel centres lie at k + 0.5: the cell between four of them starts half a pixel earlier than the pixel hit,
    # which is one of its corners
    x, y = x - np.float32(0.5), y - np.float32(0.5)
    is_smooth = _look_up(_smooth_cells(heights, max_step_mm), x, y)
    between = cv2.remap(heights, x, y, cv2.INTER_LINEAR, borderValue=math.nan)
    return np.where(is_smooth != 0, between, hit).astype(np.float32, copy=False)


def _smooth_cells(heights: NDArray[np.float32], max_step_mm: float) -> NDArray[np.uint8]:
    """1 where the cell whose upper left corner a pixel is has four valid corners within ``max_step_mm``; (H, W)."""
    corners = heights[:-1, :-1], heights[:-1, 1:], heights[1:, :-1], heights[1:, 1:]
    highest = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
    lowest = np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3]))
    is_smooth = np.zeros(heights.shape, np.uint8)
    is_smooth[:-1, :-1] = highest - lowest <= max_step_mm  # NaN compares false
    return is_smooth


def _look_up(raster: NDArray[Number], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[Number]:
    """``raster`` (H, W) at the pixels that contain the points ``x``, ``y`` ≥ 0."""
    places = np.empty((*x.shape, 2), np.int16)
    places[..., 0], places[..., 1] = x, y  # truncates
    return cv2.remap(raster, places, None, cv2.INTER_NEAREST)  # type: ignore[call-overload]


def _source_coordinates(
    matrix: Matrix, *, size: int, raster_shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Source x and y of the output pixels' centres, (size, size) each, in a raster padded by one pixel.

    Rays beside the raster end in the padding, so that looking up needs no further bounds.
    """
    (a, b, x0), (c, d, y0) = inverse_matrix(matrix)
    height, width = raster_shape
    centres = np.arange(size) + 0.5
    x = np.add.outer((b * centres + x0 + 1).astype(np.float32), (a * centres).astype(np.float32))
    y = np.add.outer((d * centres + y0 + 1).astype(np.float32), (c * centres).astype(np.float32))
    # the padding spans [0, 1): anything further out is moved into it
    return x.clip(0.5, width + 1.5, out=x), y.clip(0.5, height + 1.5, out=y)
