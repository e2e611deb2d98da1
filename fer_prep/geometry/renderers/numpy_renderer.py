"""A z-buffer in NumPy: exact float64, one thread, the same bytes on every machine, no further library.

Three steps, each for all triangles at once: the rows of pixel centres that a triangle spans; on each of these rows the
columns between its edges, which are half-planes of the barycentric coordinates (Pineda, "A parallel algorithm for
polygon rasterization", SIGGRAPH 1988); and of all (triangle, pixel) pairs the nearest of each pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.camera import Camera
from fer_prep.geometry.mesh import TriangleMesh

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

EDGE_TOLERANCE: Final = 1e-9
"""A pixel centre this far outside an edge (in barycentric units) is still inside: no pinholes along shared edges."""

_NEARLY_ZERO: Final = 1e-200
"""Stands for a slope of zero: an edge along the row bounds the columns by ± something huge then, never by NaN."""

_BEYOND: Final = 1e300
"""A column that no raster reaches."""

_PAIRS_AT_ONCE: Final = 1 << 19
"""How many (triangle, row) or (triangle, pixel) pairs are held in memory: meshes that cover the raster many times over
come in parts."""


@dataclass(frozen=True)
class _Edge:
    """One barycentric coordinate of T triangles on the screen: where on a row of pixels it is not negative.

    On the k-th row of the triangle it is not negative from column ``low + step · k`` to column ``high + step · k``, one
    of which is beyond any raster. Rows and columns are counted from the first of the triangle's bounding box.
    """

    low: Array
    high: Array
    step: Array

    @classmethod
    def of(cls, value: Array, *, along_x: Array, along_y: Array) -> _Edge:
        """From the coordinate's ``value`` at the first pixel's centre and its change a pixel."""
        slope = along_x
        if (flat := np.flatnonzero(np.abs(slope) < _NEARLY_ZERO)).size:
            slope = slope.copy()
            slope[flat] = _NEARLY_ZERO
        inverse = -1.0 / slope
        start = (value + EDGE_TOLERANCE) * inverse
        # the inside lies to the right of the boundary where the coordinate grows to the right
        beyond = (slope > 0) * _BEYOND
        return cls(start - (_BEYOND - beyond), start + beyond, along_y * inverse)

    def narrow(self, left: Array, right: Array, *, which: Indices, k: Array) -> None:
        """Move the ends ``left`` and ``right`` of spans on row ``k`` of the triangles ``which`` to this edge."""
        moved = np.take(self.step, which)
        moved *= k
        np.maximum(left, np.take(self.low, which) + moved, out=left)
        moved += np.take(self.high, which)
        np.minimum(right, moved, out=right)


@dataclass(frozen=True)
class _Screen:
    """All T triangles of a mesh on the screen: the box of pixel centres of each, and what varies linearly in it.

    ``height`` is 0 for triangles that no pixel can see. The nearness at row k and column c of the box is
    ``near + near_x · c + near_y · k``.
    """

    first_pixel: Indices
    width: Array
    height: Indices
    edges: tuple[_Edge, _Edge, _Edge]
    near: Array
    near_x: Array
    near_y: Array


def _extent(first: Array, second: Array, third: Array, *, size: int) -> tuple[Array, Array]:
    """First pixel whose centre lies within the three corners' extent, and the number of such pixels on the raster."""
    low = np.ceil(np.minimum(np.minimum(first, second), third) - 0.5)
    high = np.floor(np.maximum(np.maximum(first, second), third) - 0.5)
    np.maximum(low, 0, out=low)
    np.minimum(high, size - 1, out=high)
    high -= low
    high += 1
    return low, high


def _set_up(mesh: TriangleMesh, *, camera: Camera, size: int) -> _Screen:
    """Project the triangles' planes; give no rows to those seen edge-on and those whose box holds no pixel centre."""
    x, y, nearness = np.ascontiguousarray(camera.screen(mesh.vertices_mm).T)
    (x0, x1, x2), (y0, y1, y2), (near0, near1, near2) = (
        [np.take(values, corner) for corner in mesh.corners] for values in (x, y, nearness)
    )
    column, width = _extent(x0, x1, x2, size=size)
    row, height = _extent(y0, y1, y2, size=size)
    x_10, x_20, y_10, y_20 = x1 - x0, x2 - x0, y1 - y0, y2 - y0
    determinant = x_10 * y_20 - x_20 * y_10
    # comparisons with NaN are false: triangles with a corner behind a central camera are left out too
    unseen = np.flatnonzero(~((width > 0) & (height > 0) & (np.abs(determinant) > 1e-12)))
    for values in (column, row, height, x_10, x_20, y_10, y_20, x0, y0):
        values[unseen] = 0.0
    determinant[unseen] = 1.0
    inverse = 1.0 / determinant
    u_x, u_y = y_20 * inverse, -x_20 * inverse
    v_x, v_y = -y_10 * inverse, x_10 * inverse
    dx, dy = column + 0.5 - x0, row + 0.5 - y0
    u, v = u_x * dx + u_y * dy, v_x * dx + v_y * dy
    rise1, rise2 = near1 - near0, near2 - near0
    return _Screen(
        first_pixel=(row * size + column).astype(np.intp),
        width=width,
        height=height.astype(np.intp),
        edges=(
            _Edge.of(u, along_x=u_x, along_y=u_y),
            _Edge.of(v, along_x=v_x, along_y=v_y),
            _Edge.of(1 - u - v, along_x=-u_x - v_x, along_y=-u_y - v_y),
        ),
        near=near0 + rise1 * u + rise2 * v,
        near_x=rise1 * u_x + rise2 * v_x,
        near_y=rise1 * u_y + rise2 * v_y,
    )


def _count_up(lengths: Indices) -> tuple[Indices, Indices]:
    """For lengths (2, 0, 3): which one, (0, 0, 2, 2, 2), and where in it, (0, 1, 0, 1, 2)."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    # a step up at every end: twice as fast as np.repeat
    which = np.cumsum(np.bincount(ends[:-1], minlength=total)[:total], dtype=np.intp)
    return which, np.arange(total) - np.take(ends - lengths, which)


@dataclass(frozen=True)
class _Spans:
    """S runs of pixels inside triangles, each on one row: triangle, first pixel, length, nearness and its change."""

    triangle: NDArray[np.int32]
    first_pixel: Indices
    length: Indices
    near: Array
    near_x: Array

    @classmethod
    def of(cls, screen: _Screen, triangles: slice, *, size: int) -> _Spans:
        """The rows of some of the triangles that meet a pixel centre."""
        which, row = _count_up(screen.height[triangles])
        which += triangles.start
        k = row.astype(np.float64)
        left, right = np.zeros(len(which)), np.take(screen.width, which) - 1
        for edge in screen.edges:
            edge.narrow(left, right, which=which, k=k)
        np.ceil(left, out=left)
        length = np.floor(right) - left + 1
        met = np.flatnonzero(length > 0)
        if met.size < length.size:
            which, k, left, length = np.take(which, met), np.take(k, met), np.take(left, met), np.take(length, met)
        near_x = np.take(screen.near_x, which)
        return cls(
            triangle=which.astype(np.int32),
            first_pixel=np.take(screen.first_pixel, which) + (k * size + left).astype(np.intp),
            length=length.astype(np.intp),
            near=np.take(screen.near, which) + near_x * left + np.take(screen.near_y, which) * k,
            near_x=near_x,
        )


def _parts(lengths: Indices) -> list[slice]:
    """Consecutive slices of a list of lengths with a sum of about ``_PAIRS_AT_ONCE`` each."""
    totals = np.cumsum(lengths)
    if not totals.size or totals[-1] <= _PAIRS_AT_ONCE:
        return [slice(0, len(lengths))]
    first = np.flatnonzero(np.diff(totals // _PAIRS_AT_ONCE, prepend=-1))
    return [slice(a, b) for a, b in pairwise([*first.tolist(), len(lengths)])]


@dataclass
class _Canvas:
    """The z-buffer: nearness and triangle of every pixel, flat in row-major order."""

    nearness: Array
    triangle: NDArray[np.int32]

    @classmethod
    def blank(cls, size: int) -> _Canvas:
        return cls(np.full(size * size, -np.inf), np.full(size * size, -1, np.int32))

    def draw(self, spans: _Spans, part: slice, *, is_blank: bool) -> None:
        """Put down the pixels of these spans where they are nearer than what is there."""
        which, along = _count_up(spans.length[part])
        pixels = np.take(spans.first_pixel[part], which) + along
        nearness = np.take(spans.near[part], which) + np.take(spans.near_x[part], which) * along
        triangles = np.take(spans.triangle[part], which)
        if is_blank:
            self._put(pixels, nearness, triangles)
        while pixels.size:
            nearer = np.flatnonzero(nearness > np.take(self.nearness, pixels))
            pixels, nearness, triangles = np.take(pixels, nearer), np.take(nearness, nearer), np.take(triangles, nearer)
            self._put(pixels, nearness, triangles)

    def _put(self, pixels: Indices, nearness: Array, triangles: NDArray[np.int32]) -> None:
        """Of several offers to one pixel the last stays."""
        self.nearness[pixels] = nearness
        self.triangle[pixels] = triangles


class NumpyRenderer:
    """The z-buffer behind the renderer seam."""

    name = "numpy"

    def first_hits(self, mesh: TriangleMesh, *, camera: Camera, size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, −1 where there is none."""
        screen = _set_up(mesh, camera=camera, size=size)
        canvas = _Canvas.blank(size)
        is_blank = True
        for triangles in _parts(screen.height):
            spans = _Spans.of(screen, triangles, size=size)
            for part in _parts(spans.length):
                canvas.draw(spans, part, is_blank=is_blank)
                is_blank = False
        return canvas.triangle.reshape(size, size)
