"""From "which triangle" to "what is there": heights and attributes at pixel centres, in float64.

On the screen every value of a triangle's corners is a plane over the pixel coordinates (central rays: after division
by the distance along the axis; Heckbert, "Survey of texture mapping", IEEE CG&A 1986). The planes are solved once a
triangle and evaluated at its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.camera import Camera
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.renderers import Renderer

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What the pixels of a raster (H, W) see; M of them see something, in row-major order.

    ``valid`` (H, W) which; ``triangles`` (M,) what they see; ``z_mm`` (M,) height toward the camera; ``attributes``
    (A, M) of the corners, at the very point; ``areas_px`` (M,) how large the triangle is on the screen.
    """

    valid: NDArray[np.bool_]
    triangles: NDArray[np.int32]
    z_mm: Array
    attributes: tuple[Array, ...]
    areas_px: Array

    def height_map(self) -> NDArray[np.float32]:
        """(H, W) ``z_mm`` with NaN where nothing is seen."""
        heights = np.full(self.valid.shape, np.nan, np.float32)
        heights[self.valid] = self.z_mm
        return heights


def cast(
    mesh: TriangleMesh, *, camera: Camera, size: int, renderer: Renderer, attributes: NDArray[np.floating]
) -> Surface:
    """See ``mesh``, with ``attributes`` (A, 3, F) of its corners, through the ``size`` × ``size`` pixels of ``camera``.

    Heights are kept within those of the triangle's corners: a renderer that searches in float32 may name a triangle
    whose edge the pixel centre misses by a hair, which on a steep triangle would matter. Raises SampleError where a
    central camera stands within the mesh.
    """
    screen = camera.screen(mesh.vertices_mm)
    if not np.isfinite(screen[mesh.used]).all():
        raise SampleError(
            stage="render",
            reason=Reason.MISMATCH,
            expected="the whole mesh in front of the camera",
            found="parts of it behind",
        )
    hits = renderer.first_hits(screen, faces=mesh.faces, size=size)
    valid = hits >= 0
    triangles = hits[valid]
    rows, columns = np.nonzero(valid)
    x, y, near = (np.take(column, mesh.faces.T) for column in screen.T)  # (3, F) each
    x1, x2, y1, y2 = x[1] - x[0], x[2] - x[0], y[1] - y[0], y[2] - y[0]
    double_area = x1 * y2 - x2 * y1
    # triangles seen edge-on have constant planes
    inverse = np.divide(1.0, double_area, out=np.zeros_like(double_area), where=np.abs(double_area) > 1e-12)

    def at_pixels(values: NDArray[np.floating]) -> Array:
        """(M,) the planes through corner values (3, F), at the pixels' centres."""
        rise1, rise2 = (values[1] - values[0]) * inverse, (values[2] - values[0]) * inverse
        along_x, along_y = y2 * rise1 - y1 * rise2, x1 * rise2 - x2 * rise1
        constant = values[0] - along_x * (x[0] - 0.5) - along_y * (y[0] - 0.5)
        return constant[triangles] + along_x[triangles] * columns + along_y[triangles] * rows

    nearness = np.clip(at_pixels(near), near.min(axis=0)[triangles], near.max(axis=0)[triangles])
    if camera.is_central:
        found = tuple(at_pixels(values * near) / nearness for values in attributes)
    else:
        found = tuple(at_pixels(values) for values in attributes)
    return Surface(
        valid=valid,
        triangles=triangles,
        z_mm=camera.height_mm(nearness),
        attributes=found,
        areas_px=np.abs(double_area)[triangles] / 2,
    )
