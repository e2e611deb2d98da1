"""What a depth map says of the surface: normals, curvatures, shape index, curvedness, HHA.

Axes are those of the stored raster: x right, y up, z toward the viewer. Curvature is in 1/mm and positive where the
surface bulges toward the viewer (a nose tip), negative where it is hollow.

Slopes are those of the plane fitted to the pixels around by least squares, with weights that fall off as a Gaussian of
``smoothing_mm``; only pixels with depth count, so that holes stay holes and do not pull at their rims. Second
derivatives are the slopes of the slopes. ``fer_train.data.attribute_maps`` does the same with tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SMOOTHING_MM: Final = 2.0
"""Standard deviation of the weights of a plane fit: a sensor's noise of 0.1 mm then turns a normal by about 0.5°."""

RADIUS: Final = 3
"""Of the weights, in standard deviations."""

NEAREST_MM: Final = 600.0
"""How far before the nearest point HHA's viewer stands: a face's distance from a depth camera."""

HEIGHT_MM: Final = 300.0
"""A height of 1 in HHA."""


@dataclass(frozen=True)
class Derivatives:
    """(H, W) each, NaN where there is no depth: z by x, by y, and the second derivatives in 1/mm."""

    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: Array


def derivatives(
    z_mm: NDArray[np.floating],
    *,
    mm_per_pixel: float,
    smoothing_mm: float = SMOOTHING_MM,
    focal_px: float = math.nan,
    principal_px: tuple[float, float] = (math.nan, math.nan),
) -> Derivatives:
    """Of heights (H, W) in mm, NaN where there are none, with square pixels of ``mm_per_pixel``.

    Where ``mm_per_pixel`` is NaN, the rays are central: ``focal_px`` and ``principal_px`` (column, row) of pixel
    centres say where each pixel lies, and ``z_mm`` is minus the distance along the axis.
    """
    valid = np.isfinite(z_mm)
    z = np.where(valid, z_mm, 0.0).astype(np.float64)
    middle = float(np.median(z[valid])) if valid.any() else 0.0
    is_central = not math.isfinite(mm_per_pixel)
    side_mm = abs(middle) / focal_px if is_central else mm_per_pixel
    slopes = _slopes_of(valid, sigma_px=smoothing_mm / side_mm)
    by_column, by_row = slopes(np.where(valid, z - middle, 0.0))
    if is_central:
        columns, rows = (axis - offset for axis, offset in zip(np.indices(z.shape)[::-1], principal_px, strict=True))
        # x = (c − c₀) d / f and y = −(r − r₀) d / f with d = −z
        x_by_column, x_by_row = (-z - columns * by_column) / focal_px, -columns * by_row / focal_px
        y_by_column, y_by_row = rows * by_column / focal_px, (z + rows * by_row) / focal_px
    else:
        x_by_column, x_by_row, y_by_column, y_by_row = mm_per_pixel, 0.0, 0.0, -mm_per_pixel

    def in_mm(by_column: Array, by_row: Array) -> tuple[Array, Array]:
        """From derivatives by pixel to those by millimetre."""
        area = x_by_column * y_by_row - x_by_row * y_by_column
        area = np.where(np.asarray(area) == 0, np.nan, area)
        return (by_column * y_by_row - by_row * y_by_column) / area, (
            by_row * x_by_column - by_column * x_by_row
        ) / area

    x, y = in_mm(by_column, by_row)
    xx, xy = in_mm(*slopes(np.where(valid, x, 0.0)))
    yx, yy = in_mm(*slopes(np.where(valid, y, 0.0)))
    return Derivatives(*(np.where(valid, part, np.nan) for part in (x, y, xx, (xy + yx) / 2, yy)))


def _slopes_of(valid: NDArray[np.bool_], *, sigma_px: float) -> Callable[[Array], tuple[Array, Array]]:
    """What fits planes to values on a mask: values (H, W), 0 where invalid → their slopes by column and by row."""
    from scipy.ndimage import correlate1d

    sigma = max(sigma_px, 0.5)
    radius = math.ceil(RADIUS * sigma)
    t = np.arange(-radius, radius + 1, dtype=np.float64)
    kernels = [np.exp(-0.5 * (t / sigma) ** 2) * t**power for power in range(3)]

    def moment(values: Array, column: int, row: int) -> Array:
        across = correlate1d(values, kernels[column], axis=1, mode="constant")
        return np.asarray(correlate1d(across, kernels[row], axis=0, mode="constant"))

    mask = valid.astype(np.float64)
    weight = np.maximum(moment(mask, 0, 0), 1e-12)
    mean_c, mean_r = moment(mask, 1, 0) / weight, moment(mask, 0, 1) / weight
    cc, rr = moment(mask, 2, 0) / weight - mean_c**2, moment(mask, 0, 2) / weight - mean_r**2
    cr = moment(mask, 1, 1) / weight - mean_c * mean_r
    area = cc * rr - cr**2
    area = np.where(area > 1e-6, area, np.inf)  # a lone pixel, or a line of them, has no slope

    def slopes(values: Array) -> tuple[Array, Array]:
        mean = moment(values, 0, 0) / weight
        cz, rz = moment(values, 1, 0) / weight - mean_c * mean, moment(values, 0, 1) / weight - mean_r * mean
        return (rr * cz - cr * rz) / area, (cc * rz - cr * cz) / area

    return slopes


def normals(of: Derivatives) -> Array:
    """(H, W, 3) unit vectors."""
    length = np.sqrt(1 + of.x**2 + of.y**2)
    return np.stack([-of.x, -of.y, np.ones_like(of.x)], axis=-1) / length[..., None]


def mean_curvature(of: Derivatives) -> Array:
    """(H, W) half the sum of the principal curvatures, 1/mm (do Carmo, Differential geometry, §3-3)."""
    above = (1 + of.y**2) * of.xx - 2 * of.x * of.y * of.xy + (1 + of.x**2) * of.yy
    return -above / (2 * (1 + of.x**2 + of.y**2) ** 1.5)


def gaussian_curvature(of: Derivatives) -> Array:
    """(H, W) the product of the principal curvatures, 1/mm²."""
    return (of.xx * of.yy - of.xy**2) / (1 + of.x**2 + of.y**2) ** 2


def shape_index(of: Derivatives) -> Array:
    """(H, W) in [−1, 1]: 1 a cap, ½ a ridge, 0 a saddle, −½ a rut, −1 a cup (Koenderink and van Doorn 1992)."""
    return 2 / math.pi * np.arctan2(mean_curvature(of), _half_difference(of))


def curvedness(of: Derivatives) -> Array:
    """(H, W) root-mean-square of the principal curvatures, 1/mm (Koenderink and van Doorn 1992)."""
    return np.sqrt(mean_curvature(of) ** 2 + _half_difference(of) ** 2)


def _half_difference(of: Derivatives) -> Array:
    """Half the difference of the principal curvatures, at least 0."""
    return np.sqrt(np.maximum(mean_curvature(of) ** 2 - gaussian_curvature(of), 0))


MAPS: Final[dict[str, Callable[[Derivatives], Array]]] = {
    "normals": normals,
    "mean-curvature": mean_curvature,
    "gaussian-curvature": gaussian_curvature,
    "shape-index": shape_index,
    "curvedness": curvedness,
}
"""By the names that networks ask for; ``hha`` wants the heights as well."""


def hha(z_mm: NDArray[np.floating], of: Derivatives, *, mm_per_pixel: float) -> Array:
    """(H, W, 3) in [0, 1]: horizontal disparity, height, angle with up (Gupta et al. 2014, made for faces).

    The disparity is 1 at the nearest point and falls as it does for a viewer ``NEAREST_MM`` before it; height is above
    the lowest pixel, in parts of ``HEIGHT_MM``; the angle between normal and up in parts of 180°.
    """
    valid = np.isfinite(z_mm)
    disparity = NEAREST_MM / (NEAREST_MM + np.nanmax(z_mm) - z_mm)
    lowest = np.nonzero(valid.any(axis=1))[0].max()
    height = (lowest - np.arange(z_mm.shape[0], dtype=np.float64))[:, None] * mm_per_pixel / HEIGHT_MM
    angle = np.arccos(np.clip(normals(of)[..., 1], -1, 1)) / math.pi
    maps = np.stack([disparity, np.broadcast_to(height.clip(0, 1), z_mm.shape), angle], axis=-1)
    return np.where(valid[..., None], maps, np.nan)
