"""A triangle mesh as two arrays, checked once where it enters the geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TriangleMesh:
    """Vertices in millimetres and triangles as vertex indices.

    ``vertices_mm`` (V, 3) float64; ``faces`` (F, 3) int32, every index within ``vertices_mm``, every vertex that a
    face uses finite. Both sides of a triangle are visible: scans carry no reliable winding.
    """

    vertices_mm: NDArray[np.float64]
    faces: NDArray[np.int32]

    def __post_init__(self) -> None:
        vertices, faces = self.vertices_mm, self.faces
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise ValueError(f"expected vertices (V, 3) and faces (F, 3); found {vertices.shape} and {faces.shape}")
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise ValueError(f"faces refer to vertices outside 0…{len(vertices) - 1}")
        if not np.isfinite(self.used_vertices_mm).all():
            raise ValueError("faces refer to vertices that are not finite")

    @cached_property
    def used(self) -> NDArray[np.intp]:
        """(U,) the indices of vertices that belong to at least one triangle, ascending."""
        marked = np.zeros(len(self.vertices_mm), bool)
        marked[self.faces.ravel()] = True
        return np.flatnonzero(marked)

    @property
    def used_vertices_mm(self) -> NDArray[np.float64]:
        """(U, 3) the vertices that belong to at least one triangle."""
        return self.vertices_mm[self.used]
