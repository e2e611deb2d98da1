"""From "which triangle" to "what is there": heights and attributes at pixel centres, in float64.

On the screen every attribute of a triangle is a plane over the pixel coordinates (central rays: after division by the
distance along the axis; Heckbert, "Survey of texture mapping", IEEE CG&A 1986). The planes are solved once a triangle
and evaluated at its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.camera import Camera
from fer_prep.geometry.mesh import TriangleMesh

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What the rays of a raster meet: M pixels of ``size``² hit something.

    ``pixels`` (M,) flat row-major pixel indices; ``x``, ``y`` (M,) float64 their centres; ``triangles`` (M,) what they
    hit; ``z_mm`` (M,) float64 height toward the camera; ``attributes`` A arrays (M,) float64, the corner attributes at
    the very point; ``pixel_areas`` (F,) how many pixels each triangle covers on the screen.
    """

    size: int
    pixels: NDArray[np.intp]
    x: Array
    y: Array
    triangles: NDArray[np.intp]
    z_mm: Array
    attributes: tuple[Array, ...]
    pixel_areas: Array

    def raster(self, values: NDArray[np.floating], *, fill: float) -> NDArray[np.float32]:
        """(M,) values spread over a (size, size) float32 raster, ``fill`` elsewhere."""
        spread = np.full(self.size * self.size, fill, np.float32)
        spread[self.pixels] = values
        return spread.reshape(self.size, self.size)

    def picture(self, colours: NDArray[np.uint8], *, fill: tuple[int, int, int]) -> NDArray[np.uint8]:
        """(M, 3) colours spread over a (size, size, 3) picture, ``fill`` elsewhere."""
        # four bytes a pixel move as one number: several times faster than rows of three
        spread = np.full(self.size * self.size, np.array([*fill, 255], np.uint8).view(np.uint32)[0])
        if len(self.pixels):
            spread[self.pixels] = cv2.cvtColor(colours[None], cv2.COLOR_RGB2RGBA).view(np.uint32).ravel()
        rgba = spread.view(np.uint8).reshape(self.size, self.size, 4)
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)  # type: ignore[return-value]


@dataclass(frozen=True)
class _ScreenTriangles:
    """F triangles on the screen: what turns their corners' values into planes over the pixel coordinates."""

    x: Array
    """(F,) of the first corner, like ``y``."""
    y: Array
    nearness: tuple[Array, Array, Array]
    """Of the three corners."""
    double_area: Array
    slopes: tuple[tuple[Array, Array], tuple[Array, Array]]
    """How the values' rise from the first to the second and to the third corner counts along x, and along y; zeros for
    triangles seen edge-on, whose planes are then constant."""

    @classmethod
    def of(cls, mesh: TriangleMesh, camera: Camera) -> _ScreenTriangles:
        screen = np.ascontiguousarray(camera.screen(mesh.vertices_mm).T)
        (x0, x1, x2), (y0, y1, y2), (near0, near1, near2) = (
            [np.take(column, corner) for corner in mesh.corners] for column in screen
        )
        x_10, x_20, y_10, y_20 = x1 - x0, x2 - x0, y1 - y0, y2 - y0
        double_area = x_10 * y_20 - x_20 * y_10
        inverse = np.zeros_like(double_area)
        np.divide(1.0, double_area, out=inverse, where=np.abs(double_area) > 1e-12)
        along_x, along_y = (y_20 * inverse, -y_10 * inverse), (-x_20 * inverse, x_10 * inverse)
        return cls(x0, y0, (near0, near1, near2), np.abs(double_area), (along_x, along_y))

    def plane(self, values: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """Constant, slope along x and slope along y (F,) of the planes through corner values (F,)."""
        rise1, rise2 = values[1] - values[0], values[2] - values[0]
        along_x, along_y = (by1 * rise1 + by2 * rise2 for by1, by2 in self.slopes)
        return values[0] - along_x * self.x - along_y * self.y, along_x, along_y


def surface_at(
    hits: NDArray[np.int32], *, mesh: TriangleMesh, camera: Camera, attributes: NDArray[np.floating]
) -> Surface:
    """Evaluate heights and corner ``attributes`` (A, 3, F) where ``hits`` (size, size) names a triangle.

    Heights are kept within those of the triangle's corners: a renderer that searches in float32 may name a triangle
    whose edge the pixel centre misses by a hair, which on a steep triangle would matter.
    """
    size = hits.shape[1]
    flat = hits.ravel()
    pixels = np.flatnonzero(flat >= 0)
    triangles = np.take(flat, pixels).astype(np.intp)
    on_screen = _ScreenTriangles.of(mesh, camera)
    near = on_screen.nearness
    centres = np.arange(size) + 0.5
    rows = pixels // size
    x, y = np.take(centres, pixels - rows * size), np.take(centres, rows)

    def evaluate(values: tuple[Array, Array, Array]) -> Array:
        result, along_x, along_y = (np.take(column, triangles) for column in on_screen.plane(values))
        along_x *= x
        along_y *= y
        result += along_x
        result += along_y
        return result

    lowest, highest = np.minimum(np.minimum(*near[:2]), near[2]), np.maximum(np.maximum(*near[:2]), near[2])
    nearness = np.clip(evaluate(near), np.take(lowest, triangles), np.take(highest, triangles))
    if camera.is_central:
        found = tuple(evaluate((a * near[0], b * near[1], c * near[2])) / nearness for a, b, c in attributes)
    else:
        found = tuple(evaluate((a, b, c)) for a, b, c in attributes)
    return Surface(
        size=size,
        pixels=pixels,
        triangles=triangles,
        z_mm=camera.height_mm(nearness),
        attributes=found,
        x=x,
        y=y,
        pixel_areas=on_screen.double_area / 2,
    )


def corner_attributes(values: NDArray[np.floating], mesh: TriangleMesh) -> Array:
    """Vertex values (V, A) as corner attributes (A, 3, F), the layout :func:`surface_at` wants."""
    return np.stack([np.take(column, mesh.corners) for column in np.ascontiguousarray(values.T, dtype=np.float64)])
