"""Another raster size for stored pictures: one filter and one rule of validity, wherever sizes change.

*The filter*: a new pixel is the mean of rays spread evenly over it, so many along each side that they are about as
far apart as the old pixels. Each ray is interpolated between the pixels around it: colour by cubic convolution (Keys
1981, a = -0.75 as in OpenCV and PyTorch), depth linearly. It is separable: first along columns, then along rows.

*The rule*: a new depth is valid where the pixel hit by its centre is, and is the mean only where all pixels under the
filter are valid and on one surface; otherwise it is the depth of the pixel hit. No hole and no edge ever bleeds.

``fer_train.data.resample`` does the same with tensors; ``geometry.warp`` turns pictures by the same rule.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_prep.depth_encoding import UNIT_MM

MAX_STEP_MM: Final = 6.0
"""Neighbours further apart in depth than this are two surfaces, not one: a face seen at 1.5 mm a pixel reaches 6 mm
between pixels only where it is steeper than 75°."""

Kernel = Literal["linear", "cubic"]
_A: Final = -0.75


class Taps(NamedTuple):
    """Which of ``length`` pixels in a line make each of ``size`` new ones, and how much each counts."""

    source: NDArray[np.int64]
    """(T, size)."""
    weight: NDArray[np.float32]
    """(T, size); the T weights of a new pixel add up to 1."""
    hit: NDArray[np.int64]
    """(size,) the old pixel that the centre of the new one falls into."""


@lru_cache(maxsize=64)
def taps(length: int, size: int, *, kernel: Kernel) -> Taps:
    """The filter from ``length`` to ``size`` pixels; a line goes on at its ends as its last pixels are."""
    step = length / size
    rays = rays_a_pixel(step)
    place = ((np.arange(size * rays) + 0.5) * step / rays).reshape(size, rays)
    reach = 1 if kernel == "linear" else 2
    count = int(np.ceil(step * (1 - 1 / rays))) + 2 * reach
    index = np.floor(place[:, 0] - reach + 0.5).astype(np.int64) + np.arange(count)[:, None]
    weight = _kernel(index[..., None] + 0.5 - place, kernel).mean(axis=2)
    hit = (2 * np.arange(size) + 1) * length // (2 * size)  # in integers: a centre may lie on a border exactly
    # what counts nothing must not be looked at either: it may be a hole
    index = np.where(np.abs(weight) < 1e-9, hit, index.clip(0, length - 1))
    return Taps(source=index, weight=weight.astype(np.float32), hit=hit)


def rays_a_pixel(step: float) -> int:
    """How many rays along each side of a pixel whose side is ``step`` old pixels."""
    return max(1, round(step))


def max_step(shape: tuple[int, int], *, size: int, unit_mm: float) -> float:
    """How far neighbours of one surface are apart at most, in units: more where new pixels are larger than old ones."""
    return MAX_STEP_MM / unit_mm * max(1.0, *(length / size for length in shape))


def resize_rgb(rgb: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB → (size, size, 3)."""
    return rgb if rgb.shape[:2] == (size, size) else resized_rgb(rgb, (size, size))


def resize_depth(depth: NDArray[np.uint16], *, size: int) -> NDArray[np.uint16]:
    """(H, W) stored depth, 0 where there is none → (size, size)."""
    if depth.shape == (size, size):
        return depth
    values = np.where(depth > 0, depth, np.float32(np.nan)).astype(np.float32)
    step = max_step((depth.shape[0], depth.shape[1]), size=size, unit_mm=UNIT_MM)
    return np.rint(np.nan_to_num(resized_depth(values, (size, size), step=step), nan=0)).astype(np.uint16)


def resized_rgb(rgb: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) → (*shape, 3)."""
    values = rgb.astype(np.float32)
    for axis in (0, 1):
        some = taps(values.shape[axis], shape[axis], kernel="cubic")
        values = _mean(values, some, axis=axis)
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def resized_depth(depth: NDArray[np.float32], shape: tuple[int, int], *, step: float) -> NDArray[np.float32]:
    """(H, W) with NaN where there is no depth → ``shape``; ``step`` apart are two surfaces."""
    mean = low = high = hit = depth
    for axis in (0, 1):
        some = taps(depth.shape[axis], shape[axis], kernel="linear")
        mean = _mean(mean, some, axis=axis)
        low = np.minimum.reduce([low.take(index, axis=axis) for index in some.source])
        high = np.maximum.reduce([high.take(index, axis=axis) for index in some.source])
        hit = hit.take(some.hit, axis=axis)
    return np.where(high - low <= step, mean, hit)  # a hole makes all three NaN, which compares false


def _mean(values: NDArray[np.float32], some: Taps, *, axis: int) -> NDArray[np.float32]:
    """The weighted mean along an axis, tap by tap: sums in one order give the same bytes on every machine."""
    sides: list[Any] = [None] * values.ndim
    sides[axis] = slice(None)
    total = np.zeros((), np.float32)
    for index, weight in zip(some.source, some.weight, strict=True):
        total = total + values.take(index, axis=axis) * weight[tuple(sides)]
    return total


def _kernel(t: NDArray[np.float64], kernel: Kernel) -> NDArray[np.float64]:
    t = np.abs(t)
    if kernel == "linear":
        return np.maximum(1 - t, 0)
    inner = ((_A + 2) * t - (_A + 3)) * t * t + 1
    outer = ((_A * t - 5 * _A) * t + 8 * _A) * t - 4 * _A
    return np.where(t < 1, inner, np.where(t < 2, outer, 0))
