"""A mesh whose vertices have colours, or none at all: then it is shown as grey clay, for faces to be found on it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.cast_scene import BACKGROUND, CastScene, frontal_camera
from fer_prep.geometry.hits import Surface
from fer_prep.geometry.mesh import are_whole, whole_triangles
from fer_prep.geometry.renderers import Renderer


class VertexScene(CastScene):
    """``vertices_mm`` (V, 3), ``faces`` (F, 3) and sRGB ``colours`` (V, 3) seen frontally along −z."""

    rgb_source = "texture"

    def __init__(
        self,
        vertices_mm: NDArray[np.float64],
        *,
        faces: NDArray[np.int32],
        colours: NDArray[np.uint8],
        landmarks_mm: Mapping[str, NDArray[np.float64]],
        renderer: Renderer | None = None,
    ) -> None:
        mesh = whole_triangles(vertices_mm, faces=faces)
        corners = colours[faces[are_whole(vertices_mm, faces=faces)]].transpose(2, 1, 0)  # (3 colours, 3 corners, F)
        super().__init__(
            mesh,
            camera=frontal_camera(mesh.used_vertices_mm),
            attributes=np.ascontiguousarray(corners, np.float64),
            landmarks_mm=landmarks_mm,
            renderer=renderer,
        )

    def _colour(self, surface: Surface, *, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
        picture = np.full((*surface.valid.shape, 3), BACKGROUND, np.uint8)
        picture[surface.valid] = np.rint(np.stack(surface.attributes, axis=1).clip(0, 255)).astype(np.uint8)
        return picture


def clay(vertices: NDArray[np.float64], *, faces: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(V, 3) greys of a matt surface lit from the viewer, a little from above; vertices at one place count as one."""
    place, vertex = np.unique(vertices, axis=0, return_inverse=True)
    corners = vertex.reshape(-1)[faces]
    a, b, c = (place[corners[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)  # twice the area long: large triangles count more
    across *= np.where(across[:, 2:] < 0, -1.0, 1.0)  # scans carry no reliable winding
    normals = np.zeros_like(place)
    for k in range(3):
        np.add.at(normals, corners[:, k], across)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = np.array([0.0, 0.35, 0.94])
    grey = 60 + 170 * np.clip(normals @ light, 0, 1)
    return np.repeat(grey[vertex.reshape(-1), None], 3, axis=1).round().astype(np.uint8)
