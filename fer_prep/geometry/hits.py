"""From "which triangle" to "what is there": heights and attributes at pixel centres, in float64.

On the screen every attribute of a triangle is a plane over the pixel coordinates (central rays: after division by the
distance along the axis; Heckbert, "Survey of texture mapping", IEEE CG&A 1986). The planes are solved once a triangle
and evaluated at its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.camera import Camera
from fer_prep.geometry.mesh import TriangleMesh

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What the rays of a raster meet: M pixels of ``size``² hit something.

    ``pixels`` (M,) flat row-major pixel indices; ``triangles`` (M,) what they hit; ``z_mm`` (M,) float64 height toward
    the camera; ``attributes`` (M, A) float64 the corner attributes at the very point.
    """

    size: int
    pixels: NDArray[np.intp]
    triangles: NDArray[np.intp]
    z_mm: Array
    attributes: Array

    def raster(self, values: NDArray[np.floating], *, fill: float) -> NDArray[np.float32]:
        """(M,) values spread over a (size, size) float32 raster, ``fill`` elsewhere."""
        spread = np.full(self.size * self.size, fill, np.float32)
        spread[self.pixels] = values
        return spread.reshape(self.size, self.size)


def _attribute_planes(screen: Array, attributes: Array) -> tuple[Array, Array]:
    """Planes a + b·(x − x₀) + c·(y − y₀) through three corners: reference corners (T, 2), coefficients (T, A, 3).

    ``screen`` (T, 3, 2) corner pixels; ``attributes`` (T, 3, A). Triangles seen edge-on get constant planes.
    """
    first = screen[:, 0]
    (x1, y1), (x2, y2) = (screen[:, 1] - first).T, (screen[:, 2] - first).T
    determinant = x1 * y2 - x2 * y1
    solvable = np.abs(determinant) > 1e-12
    inverse = np.where(solvable, 1.0, 0.0) / np.where(solvable, determinant, 1.0)
    rise1, rise2 = attributes[:, 1] - attributes[:, 0], attributes[:, 2] - attributes[:, 0]
    along_x = (rise1 * y2[:, None] - rise2 * y1[:, None]) * inverse[:, None]
    along_y = (rise2 * x1[:, None] - rise1 * x2[:, None]) * inverse[:, None]
    return first, np.stack([attributes[:, 0], along_x, along_y], axis=2)


def surface_at(
    hits: NDArray[np.int32], *, mesh: TriangleMesh, camera: Camera, attributes: NDArray[np.floating]
) -> Surface:
    """Evaluate heights and corner ``attributes`` (F, 3, A) where ``hits`` (size, size) names a triangle.

    Heights are kept within those of the triangle's corners: a renderer that searches in float32 may name a triangle
    whose edge the pixel centre misses by a hair, which on a steep triangle would matter.
    """
    size = hits.shape[1]
    pixels = np.flatnonzero(hits >= 0)
    triangles = hits.ravel()[pixels].astype(np.intp)
    screen = camera.screen(mesh.vertices_mm)[mesh.faces]
    nearness = screen[:, :, 2]
    weights = nearness[:, :, None] if camera.is_central else 1.0
    values = np.concatenate([nearness[:, :, None], attributes * weights], axis=2)
    first, planes = _attribute_planes(screen[:, :, :2], values)
    rows, columns = np.divmod(pixels, size)
    dx = columns + 0.5 - first[triangles, 0]
    dy = rows + 0.5 - first[triangles, 1]
    plane = planes[triangles]
    at = plane[:, :, 0] + plane[:, :, 1] * dx[:, None] + plane[:, :, 2] * dy[:, None]
    near = np.clip(at[:, 0], nearness.min(axis=1)[triangles], nearness.max(axis=1)[triangles])
    found = at[:, 1:] / near[:, None] if camera.is_central else at[:, 1:]
    return Surface(size=size, pixels=pixels, triangles=triangles, z_mm=camera.height_mm(near), attributes=found)
