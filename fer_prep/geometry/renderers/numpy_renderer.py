"""A z-buffer in NumPy: exact float64, one thread, the same bytes on every machine, no further library.

Scan triangles cover a handful of pixels each, so the loop runs over the *offset* inside a triangle's bounding box and
handles all triangles that have such an offset at once (edge functions after Pineda, "A parallel algorithm for polygon
rasterization", SIGGRAPH 1988). The few triangles that are large on the screen are done one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.camera import Camera
from fer_prep.geometry.mesh import TriangleMesh

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

LARGE_PIXELS: Final = 24
"""Triangles wider or higher than this are rasterised one by one."""

EDGE_TOLERANCE: Final = 1e-9
"""A pixel centre this far outside an edge (in barycentric units) is still inside: no pinholes along shared edges."""


@dataclass
class _Canvas:
    """The z-buffer: nearness and triangle of every pixel, flat in row-major order."""

    nearness: Array
    triangle: NDArray[np.int32]

    @classmethod
    def blank(cls, size: int) -> _Canvas:
        return cls(np.full(size * size, -np.inf), np.full(size * size, -1, np.int32))

    def offer(self, pixels: Indices, *, nearness: Array, triangles: Indices) -> None:
        """Keep the nearer of what is there and what is offered; the same pixel may be offered several times."""
        while pixels.size:
            nearer = np.flatnonzero(nearness > self.nearness[pixels])
            pixels, nearness, triangles = pixels[nearer], nearness[nearer], triangles[nearer]
            self.nearness[pixels] = nearness  # of several offers to one pixel the last stays: hence the loop
            kept = self.nearness[pixels] == nearness
            self.triangle[pixels[kept]] = triangles[kept]
            pixels, nearness, triangles = pixels[~kept], nearness[~kept], triangles[~kept]


@dataclass(frozen=True)
class _Setup:
    """Triangles on the screen: first pixel and extent of the bounding box, and what varies linearly over it.

    Each array is (T,). ``u`` is the barycentric of the second corner at the first pixel's centre and ``u_x``, ``u_y``
    its change a pixel; ``v`` is the third corner's. The nearness is ``near + near_u · u + near_v · v``.
    """

    index: Indices
    pixel: Indices
    width: Array
    height: Array
    u: Array
    u_x: Array
    u_y: Array
    v: Array
    v_x: Array
    v_y: Array
    near: Array
    near_u: Array
    near_v: Array

    def subset(self, keep: NDArray[np.bool_]) -> _Setup:
        if keep.all():
            return self
        return _Setup(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


def _span(first: Array, second: Array, third: Array, *, size: int) -> tuple[Array, Array]:
    """First pixel whose centre lies within the three corners' extent, and the number of such pixels on the raster."""
    low = np.ceil(np.minimum(np.minimum(first, second), third) - 0.5)
    high = np.floor(np.maximum(np.maximum(first, second), third) - 0.5)
    low = np.maximum(low, 0)
    return low, np.minimum(high, size - 1) - low + 1


def _set_up(screen: Array, faces: NDArray[np.int32], *, size: int) -> _Setup:
    """Project the triangles' planes; leave out those whose box holds no pixel centre."""
    x, y, nearness = np.ascontiguousarray(screen.T)
    corners = np.ascontiguousarray(faces.T)
    (x0, x1, x2), (y0, y1, y2) = x[corners], y[corners]
    column, width = _span(x0, x1, x2, size=size)
    row, height = _span(y0, y1, y2, size=size)
    keep = np.flatnonzero((width > 0) & (height > 0))
    x0, x1, x2, y0, y1, y2 = (np.take(values, keep) for values in (x0, x1, x2, y0, y1, y2))
    column, row, width, height = (np.take(values, keep) for values in (column, row, width, height))
    determinant = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    seen = np.abs(determinant) > 1e-12
    inverse = np.where(seen, 1.0, np.nan) / np.where(seen, determinant, 1.0)  # NaN is inside nothing
    u_x, u_y = (y2 - y0) * inverse, (x0 - x2) * inverse
    v_x, v_y = (y0 - y1) * inverse, (x1 - x0) * inverse
    dx, dy = column + 0.5 - x0, row + 0.5 - y0
    near0, near1, near2 = (np.take(nearness, np.take(corner, keep)) for corner in corners)
    return _Setup(
        index=keep,
        pixel=(row * size + column).astype(np.intp),
        width=width,
        height=height,
        u=u_x * dx + u_y * dy,
        u_x=u_x,
        u_y=u_y,
        v=v_x * dx + v_y * dy,
        v_x=v_x,
        v_y=v_y,
        near=near0,
        near_u=near1 - near0,
        near_v=near2 - near0,
    )


def _inside(u: Array, v: Array) -> NDArray[np.bool_]:
    return (u >= -EDGE_TOLERANCE) & (v >= -EDGE_TOLERANCE) & (u + v <= 1 + EDGE_TOLERANCE)


def _draw_small(canvas: _Canvas, setup: _Setup, *, size: int) -> None:
    """All triangles at once, one offset of the bounding box after the other: along the row, then down."""
    which = np.arange(len(setup.index))
    u, v = setup.u, setup.v
    for step_x in range(int(setup.width.max(initial=0))):
        if step_x:
            wide = np.flatnonzero(np.take(setup.width, which) > step_x)
            which = which[wide]
            u, v = u[wide] + setup.u_x[which], v[wide] + setup.v_x[which]
        _draw_column(canvas, setup, which=which, u=u, v=v, first_pixel=setup.pixel[which] + step_x, size=size)


def _draw_column(
    canvas: _Canvas, setup: _Setup, *, which: Indices, u: Array, v: Array, first_pixel: Indices, size: int
) -> None:
    """One pixel column of the bounding boxes of the triangles ``which``, from ``first_pixel`` downward."""
    pixel = first_pixel
    for step_y in range(int(setup.height[which].max(initial=0))):
        if step_y:
            high = np.flatnonzero(np.take(setup.height, which) > step_y)
            which = which[high]
            u, v, pixel = u[high] + setup.u_y[which], v[high] + setup.v_y[which], pixel[high] + size
        inside = np.flatnonzero(_inside(u, v))
        hit = which[inside]
        nearness = setup.near[hit] + setup.near_u[hit] * u[inside] + setup.near_v[hit] * v[inside]
        canvas.offer(pixel[inside], nearness=nearness, triangles=setup.index[hit])


def _draw_large(canvas: _Canvas, setup: _Setup, *, size: int) -> None:
    """One triangle after the other, all pixels of its bounding box at once."""
    for k in range(len(setup.index)):
        across, down = np.arange(setup.width[k]), np.arange(setup.height[k])[:, None]
        u = setup.u[k] + setup.u_x[k] * across + setup.u_y[k] * down
        v = setup.v[k] + setup.v_x[k] * across + setup.v_y[k] * down
        inside = _inside(u, v)
        pixel = (setup.pixel[k] + down.astype(np.intp) * size + across.astype(np.intp))[inside]
        nearness = setup.near[k] + setup.near_u[k] * u[inside] + setup.near_v[k] * v[inside]
        canvas.offer(pixel, nearness=nearness, triangles=np.full(len(pixel), setup.index[k]))


class NumpyRenderer:
    """The z-buffer behind the renderer seam."""

    name = "numpy"

    def first_hits(self, mesh: TriangleMesh, *, camera: Camera, size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, −1 where there is none."""
        setup = _set_up(camera.screen(mesh.vertices_mm), mesh.faces, size=size)
        canvas = _Canvas.blank(size)
        large = np.maximum(setup.width, setup.height) > LARGE_PIXELS
        _draw_small(canvas, setup.subset(~large), size=size)
        _draw_large(canvas, setup.subset(large), size=size)
        return canvas.triangle.reshape(size, size)
