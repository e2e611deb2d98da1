"""A z-buffer in NumPy: which triangle is seen at each pixel centre, and where in it. Needs no GL and no library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LARGEST_BOX_PX: Final = 1024
_CANDIDATES_AT_ONCE: Final = 1_000_000
_ON_EDGE: Final = -1e-9
"""A pixel centre on the common edge of two triangles belongs to both; the z-buffer then decides."""


@dataclass(frozen=True, kw_only=True)
class Visible:
    """The visible surface at the n covered pixels, row-major.

    ``pixel`` (n,) flat index into ``shape`` (height, width); ``face`` (n,) triangle; ``weight`` (n, 3)
    perspective-correct barycentric weights.
    """

    shape: tuple[int, int]
    pixel: NDArray[np.int64]
    face: NDArray[np.int64]
    weight: Array

    def interpolate(self, values: Array, faces: NDArray[np.int32]) -> Array:
        """(n, C) of per-vertex ``values`` (V, C)."""
        corner = faces[self.face]
        return self._mixed(*(values[corner[:, k]] for k in range(3)))

    def interpolate_corners(self, corners: Array) -> Array:
        """(n, C) of values at triangle corners (F, 3, C)."""
        return self._mixed(*(corners[self.face, k] for k in range(3)))

    def _mixed(self, a: Array, b: Array, c: Array) -> Array:
        weight = self.weight
        return weight[:, 0, None] * a + weight[:, 1, None] * b + weight[:, 2, None] * c

    def image(self, values: Array, *, background: float) -> Array:
        """(H, W, C) with ``values`` (n, C) at the covered pixels."""
        height, width = self.shape
        picture = np.full((height * width, values.shape[1]), background)
        picture[self.pixel] = values
        return picture.reshape(height, width, -1)


@dataclass(frozen=True, kw_only=True)
class _Triangles:
    """Triangles in pixels as linear functions: value at (x, y) = start + (x − x0)·along_x + (y − y0)·along_y.

    ``origin`` (m, 2) is (x0, y0), the first pixel of each box; ``start``, ``along_x``, ``along_y`` (m, 3) hold the
    weights of corners a and b and the nearness (1 / distance), which is linear in pixels as they are.
    """

    face: NDArray[np.int64]
    origin: NDArray[np.int64]
    last: NDArray[np.int64]
    start: Array
    along_x: Array
    along_y: Array


def _boxes(corners: Array, shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last pixel (m, 2), as x and y, whose centre can lie in triangles of ``corners`` (2, m, 3)."""
    low = np.minimum(np.minimum(corners[..., 0], corners[..., 1]), corners[..., 2])
    high = np.maximum(np.maximum(corners[..., 0], corners[..., 1]), corners[..., 2])
    first = np.maximum(np.ceil(low - 0.5), 0).astype(np.int64).T
    last = np.minimum(np.floor(high - 0.5).astype(np.int64).T, np.array(shape[::-1]) - 1)
    return first, last


def _set_up(
    pixels: Array, faces: NDArray[np.int32], inverse_depth: Array, shape: tuple[int, int], front_only: bool
) -> _Triangles:
    corners = pixels.T[:, faces]
    (ax, bx, cx), (ay, by, cy) = corners[0].T, corners[1].T
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    # y points down, so what is counter-clockwise for the mesh is clockwise, of negative area, in the picture
    face = np.flatnonzero(area < -1e-9 if front_only else np.abs(area) > 1e-9)
    low, high = _boxes(corners[:, face], shape)
    within = (high >= low).all(axis=1)
    face, low, high = face[within], low[within], high[within]
    (ax, bx, cx), (ay, by, cy) = corners[0, face].T, corners[1, face].T
    area, c = area[face, None], np.column_stack([cx, cy])
    inverse = inverse_depth[faces[face]]
    gradient = np.column_stack([by - cy, cy - ay]), np.column_stack([cx - bx, ax - cx])
    along_x, along_y = gradient[0] / area, gradient[1] / area
    offset = low + 0.5 - c
    start = along_x * offset[:, :1] + along_y * offset[:, 1:]
    over_c = (inverse[:, :2] - inverse[:, 2:]).T
    near_x, near_y, near = (value[:, 0] * over_c[0] + value[:, 1] * over_c[1] for value in (along_x, along_y, start))
    near = inverse[:, 2] + near
    return _Triangles(
        face=face,
        origin=low,
        last=high,
        start=np.column_stack([start, near]),
        along_x=np.column_stack([along_x, near_x]),
        along_y=np.column_stack([along_y, near_y]),
    )


def _covered(
    triangles: _Triangles, chosen: NDArray[np.int64], side: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """(pixel, row of ``triangles``, nearness) of every pixel centre in triangles at most ``side`` pixels across."""
    step = np.arange(side)
    start, along_x, along_y = triangles.start[chosen], triangles.along_x[chosen], triangles.along_y[chosen]

    def over_box(which: int) -> Array:
        across = along_x[:, which, None] * step
        down = start[:, which, None] + along_y[:, which, None] * step
        return down[:, :, None] + across[:, None, :]

    weight_a, weight_b = over_box(0), over_box(1)
    within = np.minimum(weight_a, weight_b) >= _ON_EDGE
    within &= (weight_a + weight_b) <= 1 - _ON_EDGE
    room = triangles.last[chosen] - triangles.origin[chosen]
    within &= (step <= room[:, 1, None])[:, :, None] & (step <= room[:, 0, None])[:, None, :]
    which, row, column = np.nonzero(within)
    origin = triangles.origin[chosen[which]]
    nearness = start[which, 2] + along_x[which, 2] * column + along_y[which, 2] * row
    return (origin[:, 1] + row) * width + origin[:, 0] + column, chosen[which], nearness


def rasterise(
    pixels: Array,
    faces: NDArray[np.int32],
    *,
    inverse_depth: Array,
    shape: tuple[int, int],
    front_only: bool = True,
) -> Visible:
    """Find the nearest triangle at every pixel centre.

    ``pixels`` (V, 2) are vertices in continuous pixel coordinates (pixel k spans [k, k + 1)), ``inverse_depth`` (V,)
    is 1 / distance from the camera plane, ``faces`` (F, 3), ``shape`` (height, width). Triangles seen from behind
    are left out where ``front_only``.
    """
    triangles = _set_up(pixels, faces, inverse_depth, shape, front_only)
    box = np.maximum(*(triangles.last - triangles.origin).T) + 1
    found = [_covered(triangles, np.empty(0, np.int64), 1, shape[1])]  # so that nothing visible is no special case
    side = 1
    while side <= _LARGEST_BOX_PX:
        chosen = np.flatnonzero((box <= side) & (box > side // 2))
        step = max(1, _CANDIDATES_AT_ONCE // side**2)
        for first in range(0, len(chosen), step):
            found.append(_covered(triangles, chosen[first : first + step], side, shape[1]))
        side *= 2
    pixel, row, nearness = (np.concatenate(parts) for parts in zip(*found, strict=True))
    nearest = np.full(shape[0] * shape[1], -np.inf)
    np.maximum.at(nearest, pixel, nearness)
    winners = np.flatnonzero(nearness == nearest[pixel])
    owner = np.full(shape[0] * shape[1], -1, np.int64)
    owner[pixel[winners]] = row[winners]
    covered = np.flatnonzero(owner >= 0)
    owner = owner[covered]
    face = triangles.face[owner]
    weight = _weights(triangles, owner, covered, shape[1]) * inverse_depth[faces[face]]
    total = weight[:, 0] + weight[:, 1] + weight[:, 2]
    return Visible(shape=shape, pixel=covered, face=face, weight=weight / total[:, None])


def _weights(triangles: _Triangles, row: NDArray[np.int64], pixel: NDArray[np.int64], width: int) -> Array:
    """(n, 3) barycentric weights in the picture plane at pixel centres."""
    down, across = np.divmod(pixel, width)
    offset_x, offset_y = across - triangles.origin[row, 0], down - triangles.origin[row, 1]
    two = triangles.start[row, :2]
    two = two + triangles.along_x[row, :2] * offset_x[:, None] + triangles.along_y[row, :2] * offset_y[:, None]
    return np.column_stack([two, 1 - two[:, 0] - two[:, 1]])


def vertex_normals(points: Array, faces: NDArray[np.int32]) -> Array:
    """(V, 3) unit normals, triangles weighted by area."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(faces[:, corner], across[:, axis], len(points))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
