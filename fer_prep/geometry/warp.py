"""Rasters through a similarity, by the filter and the rule of ``fer_prep.resample``.

All matrices here are (2, 3) and map source to output pixels in *continuous* coordinates (pixel k spans [k, k + 1)).
OpenCV puts integers at pixel centres, so its matrices differ by half a pixel on both sides: see ``opencv_matrix``.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.resample import MAX_STEP_MM, max_step, rays_a_pixel, resized_depth, resized_rgb

Matrix = NDArray[np.float64]
"""(2, 3) float64: source to output pixels, continuous coordinates."""


def opencv_matrix(matrix: Matrix) -> Matrix:
    """The same map for integer-centre coordinates: both spaces shifted by half a pixel."""
    shifted = np.array(matrix, np.float64)
    shifted[:, 2] += 0.5 * shifted[:, 0] + 0.5 * shifted[:, 1] - 0.5
    return shifted


def transform_points(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Map points (..., 2) by ``matrix``."""
    return (np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]).astype(np.float64)


def inverse_matrix(matrix: Matrix) -> Matrix:
    """The map back from output to source pixels."""
    (a, b, x), (c, d, y) = np.asarray(matrix, np.float64).tolist()
    scale = a * d - b * c
    return np.array([[d, -b, b * y - d * x], [-c, a, c * x - a * y]]) / scale


def matrix_scale(matrix: Matrix) -> float:
    """Output pixels per source pixel."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))


def warp_rgb(rgb: NDArray[np.uint8], matrix: Matrix, *, size: int) -> NDArray[np.uint8]:
    """See ``rgb`` (H, W, 3) u1 sRGB through ``size`` × ``size`` pixels; black where the picture ends."""
    rays = rays_a_pixel(1 / matrix_scale(matrix))
    fine = cv2.warpAffine(rgb, opencv_matrix(matrix * rays), (size * rays, size * rays), flags=cv2.INTER_CUBIC)
    turned = np.asarray(fine, np.uint8)
    return turned if rays == 1 else resized_rgb(turned, (size, size))


def warp_depth(
    z_mm: NDArray[np.floating], valid: NDArray[np.bool_], matrix: Matrix, *, size: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """See a depth map through ``size`` × ``size`` pixels; return z (NaN = no data) and the mask.

    ``z_mm`` (H, W) in mm, anything where ``valid`` (H, W) is false.
    """
    rays = rays_a_pixel(1 / matrix_scale(matrix))
    heights = np.where(valid, z_mm, np.nan).astype(np.float32)
    turned = _turned_depth(heights, matrix * rays, size=size * rays)
    if rays > 1:
        step = max_step(turned.shape, size=size, unit_mm=1)
        turned = resized_depth(turned, (size, size), step=step)
    return turned, np.isfinite(turned)


def _turned_depth(heights: NDArray[np.float32], matrix: Matrix, *, size: int) -> NDArray[np.float32]:
    """(size, size) of (H, W), NaN where there is none, one ray a pixel."""
    height, width = heights.shape
    bordered = np.pad(heights, 2, constant_values=np.nan)
    columns, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    (x_x, x_y, x_0), (y_x, y_y, y_0) = inverse_matrix(matrix).tolist()
    x = (x_x * columns + x_y * rows + (x_0 + 2)).clip(1, width + 3)  # within the border: NaN
    y = (y_x * columns + y_y * rows + (y_0 + 2)).clip(1, height + 3)
    left, top = np.floor(x - 0.5), np.floor(y - 0.5)
    across, down = (x - 0.5 - left).astype(np.float32), (y - 0.5 - top).astype(np.float32)
    corner = (top * (width + 4) + left).astype(np.intp)
    corners = [bordered.ravel()[corner + offset] for offset in (0, 1, width + 4, width + 5)]
    upper = corners[0] + across * (corners[1] - corners[0])
    lower = corners[2] + across * (corners[3] - corners[2])
    step = np.maximum.reduce(corners) - np.minimum.reduce(corners)
    hit = bordered[np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)]
    return np.where(step <= MAX_STEP_MM, upper + down * (lower - upper), hit)  # NaN compares false
