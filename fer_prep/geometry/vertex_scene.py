"""A mesh whose vertices have colours, or none at all: then it is shown as grey clay, for faces to be found on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.cast_scene import BACKGROUND, CastScene
from fer_prep.geometry.hits import Surface
from fer_prep.geometry.mesh_scene import MeshScene
from fer_prep.geometry.renderers import Renderer


class VertexScene(CastScene):
    """``vertices_mm`` (V, 3), ``faces`` (F, 3) and sRGB ``colours`` (V, 3), None for clay, seen frontally along −z."""

    rgb_source = "texture"

    def __init__(
        self,
        vertices_mm: NDArray[np.float64],
        *,
        faces: NDArray[np.int32],
        colours: NDArray[np.uint8] | None,
        landmarks_mm: Mapping[str, NDArray[np.float64]],
        renderer: Renderer | None = None,
    ) -> None:
        painted = np.zeros((len(vertices_mm), 3)) if colours is None else colours.astype(np.float64)
        corners = painted[faces].transpose(2, 1, 0)  # (3 colours, 3 corners, F)
        super().__init__(vertices_mm, faces=faces, attributes=corners, landmarks_mm=landmarks_mm, renderer=renderer)
        self._is_clay = colours is None
        self._light()

    def turned(self, turn: NDArray[np.float64]) -> Self:
        """See ``CastScene``; the light stays where the viewer is."""
        other = super().turned(turn)
        other._light()
        return other

    def _light(self) -> None:
        if self._is_clay:
            grey = clay(self._mesh.vertices_mm, faces=self._mesh.faces)
            self._attributes = np.repeat(grey[self._mesh.faces].T[None], 3, axis=0)

    def _colour(self, surface: Surface, *, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
        picture = np.full((*surface.valid.shape, 3), BACKGROUND, np.uint8)
        picture[surface.valid] = np.rint(np.stack(surface.attributes, axis=1).clip(0, 255)).astype(np.uint8)
        return picture


def surface_scene(
    vertices_mm: NDArray[np.float64],
    *,
    faces: NDArray[np.int32],
    uv_corners: NDArray[np.floating] | None = None,
    texture: NDArray[np.uint8] | None = None,
    colours: NDArray[np.uint8] | None = None,
    landmarks_mm: Mapping[str, NDArray[np.float64]] | None = None,
    renderer: Renderer | None = None,
) -> CastScene:
    """A mesh with its texture, else with the colours of its vertices, else as clay."""
    points = landmarks_mm or {}
    if texture is None or uv_corners is None:
        return VertexScene(vertices_mm, faces=faces, colours=colours, landmarks_mm=points, renderer=renderer)
    return MeshScene(
        vertices_mm, faces=faces, uv_corners=uv_corners, texture=texture, landmarks_mm=points, renderer=renderer
    )


def clay(vertices: NDArray[np.float64], *, faces: NDArray[np.int32]) -> NDArray[np.float64]:
    """(V,) greys of a matt surface lit from the viewer, a little from above; vertices at one place count as one."""
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
    return (60 + 170 * np.clip(normals @ light, 0, 1))[vertex.reshape(-1)]
