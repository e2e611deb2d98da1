"""A z-buffer in NumPy: exact float64, one thread, the same bytes on every machine, no further library.

All pixel centres in the bounding box of every triangle are looked at (Pineda, "A parallel algorithm for polygon
rasterization", SIGGRAPH 1988): inside are those whose three barycentric coordinates are not negative, and of all
(triangle, pixel) pairs the nearest of each pixel stays.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

EDGE_TOLERANCE: Final = 1e-9
"""A pixel centre this far outside an edge (in barycentric units) is still inside: no pinholes along shared edges."""

_PAIRS_AT_ONCE: Final = 1 << 20
"""How many (triangle, pixel) pairs are held in memory: meshes that cover the raster many times over come in parts."""


class NumpyRenderer:
    """The z-buffer behind the renderer seam."""

    name = "numpy"

    def first_hits(self, screen: Array, *, faces: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, −1 where there is none."""
        x, y, nearness = (np.take(column, faces.T) for column in screen.T)  # (3, F) each
        column, width = _extent(x, size=size)
        row, height = _extent(y, size=size)
        areas = width * height
        nearest, found = np.full(size * size, -np.inf), np.full(size * size, -1, np.int32)
        parts = np.cumsum(areas) // _PAIRS_AT_ONCE
        for part in np.unique(parts[areas > 0]):
            triangles = np.flatnonzero((parts == part) & (areas > 0))
            which, place = _count_up(areas[triangles])
            which = triangles[which]
            down, right = np.divmod(place, width[which])
            down += row[which]
            right += column[which]
            weights, inside = _barycentric(x, y, which, right + 0.5, down + 0.5)
            pixels, which = (down * size + right)[inside], which[inside]
            near = (weights[:, inside] * nearness[:, which]).sum(axis=0)
            nearer = near > nearest[pixels]
            order = np.flatnonzero(nearer)[np.argsort(near[nearer], kind="stable")]  # the last one written stays
            nearest[pixels[order]] = near[order]
            found[pixels[order]] = which[order]
        return found.reshape(size, size)


def _extent(corners: Array, *, size: int) -> tuple[Indices, Indices]:
    """First pixel whose centre lies within the extent of the corners (3, F), and how many such pixels there are."""
    low = np.clip(np.ceil(corners.min(axis=0) - 0.5), 0, size)
    high = np.clip(np.floor(corners.max(axis=0) - 0.5), -1, size - 1)
    return low.astype(np.intp), np.maximum(high - low + 1, 0).astype(np.intp)


def _count_up(lengths: Indices) -> tuple[Indices, Indices]:
    """For lengths (2, 1, 3): which one, (0, 0, 1, 2, 2, 2), and where in it, (0, 1, 0, 0, 1, 2)."""
    which = np.repeat(np.arange(len(lengths)), lengths)
    return which, np.arange(len(which)) - (np.cumsum(lengths) - lengths)[which]


def _barycentric(x: Array, y: Array, which: Indices, at_x: Array, at_y: Array) -> tuple[Array, NDArray[np.bool_]]:
    """(3, N) weights of the corners of triangle ``which`` (N,) at the given points, and which points are inside."""
    x_20, y_20, x_21, y_21 = x[2] - x[0], y[2] - y[0], x[2] - x[1], y[2] - y[1]
    area = x_20 * y_21 - x_21 * y_20
    scale = np.divide(1.0, area, out=np.full_like(area, np.nan), where=np.abs(area) > 1e-12)[which]  # edge-on: nowhere
    dx, dy = x[2, which] - at_x, y[2, which] - at_y
    first = (dx * y_21[which] - x_21[which] * dy) * scale
    second = (x_20[which] * dy - dx * y_20[which]) * scale
    weights = np.stack([first, second, 1 - first - second])
    return weights, np.asarray((weights >= -EDGE_TOLERANCE).all(axis=0))
