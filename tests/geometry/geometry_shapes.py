"""Surfaces with known formulas, as meshes: what tests of the geometry render."""

from __future__ import annotations

import numpy as np

from fer_prep.geometry.mesh import TriangleMesh


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """(F, 3) two triangles a cell of a grid of ``rows`` × ``columns`` vertices."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    cells = [np.stack([a, c, b], axis=-1), np.stack([b, c, d], axis=-1)]
    return np.concatenate([cell.reshape(-1, 3) for cell in cells]).astype(np.int32)


def height_field(height, *, half_mm: float, nodes: int) -> TriangleMesh:
    """The mesh of z = height(x, y) over a square of ±``half_mm``."""
    axis = np.linspace(-half_mm, half_mm, nodes)
    x, y = np.meshgrid(axis, axis[::-1])
    vertices = np.stack([x, y, height(x, y)], axis=-1).reshape(-1, 3)
    return TriangleMesh(vertices_mm=vertices, faces=grid_faces(nodes, nodes))


def sphere_cap(*, radius_mm: float = 100.0, half_mm: float = 40.0, nodes: int = 161) -> TriangleMesh:
    """The front of a sphere around the origin."""
    return height_field(lambda x, y: np.sqrt(radius_mm**2 - x**2 - y**2), half_mm=half_mm, nodes=nodes)
