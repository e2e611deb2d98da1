"""A z-buffer in NumPy: which triangle is seen at each pixel centre, and where in it. Needs no GL and no library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LARGEST_BOX_PX: Final = 512
_CANDIDATES_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Visible:
    """The visible surface: for each of the n covered pixels, row-major.

    ``pixel`` (n,) flat index into ``shape``; ``face`` (n,) triangle; ``weight`` (n, 3) perspective-correct
    barycentric weights; ``nearness`` (n,) the interpolated 1 / distance (or −distance, as it was given).
    """

    shape: tuple[int, int]
    pixel: NDArray[np.int64]
    face: NDArray[np.int64]
    weight: Array

    def interpolate(self, values: Array, faces: NDArray[np.int32]) -> Array:
        """(n, C) of per-vertex ``values`` (V, C)."""
        return self.interpolate_corners(values[faces[self.face]])

    def interpolate_corners(self, corners: Array) -> Array:
        """(n, C) of per-pixel triangle corners (n, 3, C)."""
        return np.einsum("nk,nkc->nc", self.weight, corners)

    def image(self, values: Array, *, background: Array | float) -> Array:
        """(H, W, C) with ``values`` (n, C) at the covered pixels."""
        height, width = self.shape
        picture = np.empty((height * width, values.shape[1]))
        picture[:] = background
        picture[self.pixel] = values
        return picture.reshape(height, width, -1)


def rasterise(pixels: Array, faces: NDArray[np.int32], *, inverse_depth: Array, shape: tuple[int, int]) -> Visible:
    """Find the nearest triangle at every pixel centre.

    ``pixels`` (V, 2) are vertices in continuous pixel coordinates (pixel k spans [k, k + 1)), ``inverse_depth`` (V,)
    is 1 / distance from the camera plane (a constant for a parallel projection that needs no depth test),
    ``faces`` (F, 3), ``shape`` (height, width).
    """
    corners, inverse = pixels[faces], inverse_depth[faces]
    low = np.maximum(np.ceil(corners.min(axis=1) - 0.5).astype(np.int64), 0)
    high = np.minimum(np.floor(corners.max(axis=1) - 0.5).astype(np.int64), np.array(shape[::-1]) - 1)
    box = (high - low + 1).max(axis=1)
    seen = (high >= low).all(axis=1)
    found = []
    side = 1
    while side <= _LARGEST_BOX_PX:
        chosen = np.flatnonzero(seen & (box <= side) & (box > side // 2))
        step = max(1, _CANDIDATES_AT_ONCE // side**2)
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            found.append(_cover(part, corners[part], inverse[part], low[part], high[part], side, shape[1]))
        side *= 2
    pixel, face, weight, nearness = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _nearest(shape, pixel, face, weight, nearness)


def _cover(
    index: NDArray[np.int64],
    corners: Array,
    inverse: Array,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    side: int,
    width: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """All (pixel, triangle) pairs of triangles whose boxes are at most ``side`` pixels wide and high."""
    offset = np.arange(side)
    column = low[:, 0, None, None] + offset[None, None, :]
    row = low[:, 1, None, None] + offset[None, :, None]
    x, y = column + 0.5, row + 0.5
    a, b, c = (corners[:, k, :, None, None] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    area = np.where(np.abs(area) < 1e-12, np.nan, area)
    weight_a = ((b[:, 0] - x) * (c[:, 1] - y) - (b[:, 1] - y) * (c[:, 0] - x)) / area
    weight_b = ((c[:, 0] - x) * (a[:, 1] - y) - (c[:, 1] - y) * (a[:, 0] - x)) / area
    weight_c = 1 - weight_a - weight_b
    within = (weight_a >= -1e-9) & (weight_b >= -1e-9) & (weight_c >= -1e-9)
    within &= (column <= high[:, 0, None, None]) & (row <= high[:, 1, None, None])
    which, inner_row, inner_column = np.nonzero(within)
    weight = np.stack([weight_a[within], weight_b[within], weight_c[within]], axis=1)
    weight = weight * inverse[which]
    nearness = weight.sum(axis=1)
    pixel = (low[which, 1] + inner_row) * width + low[which, 0] + inner_column
    return pixel, index[which], weight / nearness[:, None], nearness


def _nearest(
    shape: tuple[int, int], pixel: NDArray[np.int64], face: NDArray[np.int64], weight: Array, nearness: Array
) -> Visible:
    """Keep the nearest triangle of each pixel; of equal ones the later in the mesh."""
    nearest = np.full(shape[0] * shape[1], -np.inf)
    np.maximum.at(nearest, pixel, nearness)
    winners = np.flatnonzero(nearness == nearest[pixel])
    chosen = np.full(shape[0] * shape[1], -1, np.int64)
    order = winners[np.argsort(face[winners], kind="stable")]
    chosen[pixel[order]] = order
    covered = np.flatnonzero(chosen >= 0)
    chosen = chosen[covered]
    return Visible(shape=shape, pixel=covered, face=face[chosen], weight=weight[chosen])


def vertex_normals(points: Array, faces: NDArray[np.int32]) -> Array:
    """(V, 3) unit normals, triangles weighted by area."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(faces[:, corner], across[:, axis], len(points))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
