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

_SAME_SCALE: Final = 1e-9
"""Scales this close to a whole number of samples a pixel differ by rounding alone."""

_SHARPEN: Final = np.array([-0.03, 1.06, -0.03], np.float32)
"""What linear interpolation at half a pixel takes off fine detail, put on before; fitted on photographs."""

_BORDER_PX: Final = -(2.0**-10)
"""By so much, invisibly, rasters are shifted where pixels are looked up; well above the rounding of float32."""

Matrix = NDArray[np.float64]
"""(2, 3) float64: source to output pixels, continuous coordinates."""
Number = TypeVar("Number", bound=np.generic)


def opencv_matrix(matrix: Matrix) -> Matrix:
    """The same map for integer-centre coordinates: both spaces shifted by half a pixel."""
    shifted = _from_shifted(matrix, 0.5, 0.5)
    shifted[:, 2] -= 0.5
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
    """See ``rgb`` (H, W, 3) u1 sRGB through ``size`` × ``size`` pixels; black where the picture ends.

    Enlarging is cubic. Shrinking takes several cubic samples a pixel, at least one per source pixel, and averages
    them in linear light, as a coarser sensor would: averaging sRGB values themselves darkens fine bright detail.
    """
    scale = matrix_scale(matrix)
    if scale > 1 + _SAME_SCALE:
        return _enlarged(rgb, matrix, size=size)
    samples = max(1, math.ceil(1 / scale - _SAME_SCALE))
    fine = cv2.warpAffine(rgb, opencv_matrix(matrix * samples), (size * samples, size * samples), flags=cv2.INTER_CUBIC)
    if samples == 1:
        return np.asarray(fine, np.uint8)
    to_linear, to_srgb = _srgb_tables()
    mean = cv2.resize(to_linear[np.asarray(fine, np.uint8)], (size, size), interpolation=cv2.INTER_AREA)
    return to_srgb[np.rint(mean).astype(np.uint16)]


def _enlarged(rgb: NDArray[np.uint8], matrix: Matrix, *, size: int) -> NDArray[np.uint8]:
    """Cubic interpolation at a scale above 1, in two steps that take less time than OpenCV's one.

    First twice as many pixels by cubic, which falls on the same places between source pixels everywhere and is a
    filter; then linear between those. What linear interpolation blurs is sharpened before. Within half a grey level
    of the exact cubic on faces: ``docs/decisions/0023-aligning-faster.md``.
    """
    rows, columns = _seen_window(matrix, size=size, raster_shape=rgb.shape[:2])
    seen = rgb[rows, columns]
    if seen.size == 0:
        return np.zeros((size, size, 3), np.uint8)
    four = cv2.cvtColor(seen, cv2.COLOR_RGB2RGBA)  # OpenCV takes longer for three channels, to turn three times
    sharp = cv2.sepFilter2D(four, -1, _SHARPEN, _SHARPEN, borderType=cv2.BORDER_REPLICATE)
    doubled = cv2.resize(sharp, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    from_doubled = _from_shifted(matrix, columns.start, rows.start) @ np.diag([0.5, 0.5, 1])
    turned = cv2.warpAffine(doubled, opencv_matrix(from_doubled), (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_RGBA2RGB), np.uint8)


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
    return _look_up(mask.view(np.uint8), matrix, size=size, beside=0).view(np.bool_)


def warp_depth(
    z_mm: NDArray[np.floating], valid: NDArray[np.bool_], matrix: Matrix, *, size: int, max_step_mm: float = MAX_STEP_MM
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """See a depth map through ``size`` × ``size`` pixels; return z (NaN = no data) and the mask.

    ``z_mm`` (H, W) in mm, ``valid`` (H, W). A pixel is valid exactly where its ray hits a valid source pixel. It is
    interpolated between the four pixel centres around the ray where they are all valid and within ``max_step_mm``
    of each other, and is the value of the pixel hit otherwise: neither holes nor edges bleed.
    """
    rows, columns = _seen_window(matrix, size=size, raster_shape=valid.shape)
    seen = np.asarray(z_mm[rows, columns], np.float32)
    if seen.size == 0:
        return np.full((size, size), np.nan, np.float32), np.zeros((size, size), bool)
    heights = _put(seen, np.full(seen.shape, np.nan, np.float32), where=valid[rows, columns])
    matrix = _from_shifted(matrix, columns.start, rows.start)
    warped = _look_up(heights, matrix, size=size, beside=math.nan)
    between = cv2.warpAffine(
        heights, opencv_matrix(matrix), (size, size), flags=cv2.INTER_LINEAR, borderValue=(math.nan,) * 4
    )
    # pixel centres lie at k + 0.5: the cell between four of them starts half a pixel after its upper left pixel
    # and not by _look_up: its shift would judge the neighbour of the cell that a ray just before a border mixes
    cells = opencv_matrix(_from_shifted(matrix, 0.5, 0.5))
    is_smooth = np.asarray(
        cv2.warpAffine(_smooth_cells(heights, max_step_mm), cells, (size, size), flags=cv2.INTER_NEAREST), np.uint8
    )
    warped = _put(np.asarray(between, np.float32), warped, where=is_smooth.view(np.bool_) & np.isfinite(between))
    return warped, np.isfinite(warped)


def _put(values: NDArray[np.float32], target: NDArray[np.float32], *, where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """``target`` with ``values`` put in, in place; ``np.copyto`` does the same in four times as long."""
    return cv2.copyTo(values, where.view(np.uint8), target)  # type: ignore[return-value]


def _seen_window(matrix: Matrix, *, size: int, raster_shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the raster that the output can see, and their neighbours: the rest need not be touched."""
    # plain numbers: for four corners NumPy takes ten times as long, under Python's lock
    (x_x, x_y, x_0), (y_x, y_y, y_0) = inverse_matrix(matrix).tolist()
    height, width = raster_shape
    columns = _covered(x_0, x_x * size, x_y * size, length=width)
    rows = _covered(y_0, y_x * size, y_y * size, length=height)
    return rows, columns


def _covered(origin: float, *sides: float, length: int) -> slice:
    """The pixels, of ``length`` there are, between the ends of what two sides span from ``origin``, and two more."""
    first = math.floor(origin + sum(side for side in sides if side < 0)) - 2
    last = math.ceil(origin + sum(side for side in sides if side > 0)) + 2
    return slice(min(max(first, 0), length), min(max(last, 0), length))


def _smooth_cells(heights: NDArray[np.float32], max_step_mm: float) -> NDArray[np.uint8]:
    """1 where the cell whose upper left corner a pixel is has four valid corners within ``max_step_mm``; (H, W)."""
    highest = np.maximum(heights[:-1], heights[1:])
    lowest = np.minimum(heights[:-1], heights[1:])
    step_mm = np.maximum(highest[:, :-1], highest[:, 1:])
    step_mm -= np.minimum(lowest[:, :-1], lowest[:, 1:])
    is_smooth = np.zeros(heights.shape, np.uint8)
    is_smooth[:-1, :-1] = step_mm <= max_step_mm  # NaN compares false
    return is_smooth


def _look_up(raster: NDArray[Number], matrix: Matrix, *, size: int, beside: float) -> NDArray[Number]:
    """``raster`` (H, W) at the pixels that the rays of ``size`` × ``size`` pixels hit; ``beside`` where there is none.

    A ray on the border of two pixels hits the right or lower one: OpenCV takes the one with the even number, which
    would show every other pixel twice to a window shifted by half a pixel.
    """
    matrix = opencv_matrix(_from_shifted(matrix, _BORDER_PX, _BORDER_PX))
    return cv2.warpAffine(  # type: ignore[return-value]
        raster,  # type: ignore[arg-type]
        matrix,
        (size, size),
        flags=cv2.INTER_NEAREST,
        borderValue=(beside,) * 4,
    )


def _from_shifted(matrix: Matrix, x: float, y: float) -> Matrix:
    """The same map for a raster whose origin is the point (x, y) of the old one."""
    shifted = np.array(matrix, np.float64)
    shifted[:, 2] += x * shifted[:, 0] + y * shifted[:, 1]
    return shifted
