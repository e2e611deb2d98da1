"""The 83 landmarks of BU-3DFE: which row is which point, and whether they belong to the mesh beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.formats.bnd import Bnd
from fer_prep.landmark_names import (
    CHIN,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from fer_prep.sources.landmark_sides import exchanged, sides_are_exchanged

COUNT: Final = 83
ROWS: Final = {
    LEFT_EYE_INNER: 0,
    LEFT_EYE_OUTER: 4,
    RIGHT_EYE_INNER: 8,
    RIGHT_EYE_OUTER: 12,
    MOUTH_LEFT: 54,
    MOUTH_RIGHT: 48,
    CHIN: 75,
}
"""Landmark → row, from 0. Rows 0–15 are the eyes, 16–35 the brows, 36–47 the nose, 48–67 the mouth, 68–82 the contour.
The sides are checked against the coordinates, not believed."""

AGREE_MM: Final = 1.0
"""A row's coordinates repeat its vertex; further apart, one of the two is of another mesh."""
_NOSE_HALF_WIDTH_MM: Final = 20.0


def landmarks_on_mesh(bnd: Bnd, *, vertices_mm: NDArray[np.float64], path: Path) -> dict[str, NDArray[np.float64]]:
    """Name → (3,) mm in the frame of the mesh ``vertices_mm`` (V, 3); raises SampleError naming ``path``.

    There is no nose tip among the 83: the point of the mesh that stands out most between eyes and mouth is taken.
    """
    points_mm = _points_in_mesh_frame(bnd, vertices_mm=vertices_mm, path=path)
    named = named_rows(points_mm)
    tip = _nose_tip(named, vertices_mm)
    return named if tip is None else {**named, NOSE_TIP: tip}


def rows_as_called(points_mm: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The named ones of the points (n, 3) with the sides that public descriptions give them; those there are."""
    return {name: points_mm[row] for name, row in ROWS.items() if row < len(points_mm)}


def named_rows(points_mm: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The named ones of the 83 points (83, 3); left is the side of larger x, inner is nearer to the other eye."""
    named = rows_as_called(points_mm)
    for inner, outer, other in (
        (LEFT_EYE_INNER, LEFT_EYE_OUTER, RIGHT_EYE_INNER),
        (RIGHT_EYE_INNER, RIGHT_EYE_OUTER, LEFT_EYE_INNER),
    ):
        if np.linalg.norm(named[inner] - named[other]) > np.linalg.norm(named[outer] - named[other]):
            named[inner], named[outer] = named[outer], named[inner]
    eyes = {name: point for name, point in named.items() if name not in (MOUTH_LEFT, MOUTH_RIGHT)}
    mouth = {name: named[name] for name in (MOUTH_LEFT, MOUTH_RIGHT)}
    # eyes and mouth are decided apart: public descriptions agree on the side of the eyes' rows only
    named |= exchanged(eyes) if sides_are_exchanged(eyes) else eyes
    return named | (exchanged(mouth) if sides_are_exchanged(mouth) else mouth)


def _points_in_mesh_frame(bnd: Bnd, *, vertices_mm: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """(n, 3): the coordinates of the file where they lie on the mesh, else the vertices it numbers."""
    if len(bnd.points_mm) < COUNT:
        raise SampleError(
            stage="read",
            reason=Reason.UNREADABLE,
            path=path,
            expected=f"{COUNT} landmarks",
            found=f"{len(bnd.points_mm)}",
        )
    index = bnd.vertex_index[:COUNT]
    points_mm = bnd.points_mm[:COUNT]
    in_range = bool(index.max() < len(vertices_mm))
    if in_range:
        apart_mm = np.linalg.norm(vertices_mm[index] - points_mm, axis=1)
        if apart_mm.max() < AGREE_MM:
            return points_mm
    nearest_mm = _distances_to_vertices(points_mm, vertices_mm)
    if np.median(nearest_mm) < AGREE_MM:
        return points_mm  # the numbers count from 1 or are of another mesh, the coordinates are of this one
    if in_range and _rigid_residual_mm(vertices_mm[index], points_mm) < AGREE_MM:
        return vertices_mm[index]  # the same points in another frame: a mesh that was moved after it was marked
    found = f"points {np.median(nearest_mm):.1f} mm away from it"
    raise SampleError(
        stage="read", reason=Reason.MISMATCH, path=path, expected="landmarks of the mesh beside them", found=found
    )


def _distances_to_vertices(points_mm: NDArray[np.float64], vertices_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial import KDTree

    return KDTree(vertices_mm).query(points_mm)[0]


def _rigid_residual_mm(a_mm: NDArray[np.float64], b_mm: NDArray[np.float64]) -> float:
    """Largest distance after the best rotation and shift of ``b`` onto ``a`` (Kabsch 1976)."""
    a, b = a_mm - a_mm.mean(0), b_mm - b_mm.mean(0)
    u, _, vt = np.linalg.svd(b.T @ a)
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    return float(np.linalg.norm(b @ (u @ vt) - a, axis=1).max())


def _nose_tip(named: dict[str, NDArray[np.float64]], vertices_mm: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The vertex nearest to the viewer in the band between the eyes and the mouth; None where it has no vertices."""
    eyes = (named[LEFT_EYE_INNER] + named[RIGHT_EYE_INNER]) / 2
    mouth = (named[MOUTH_LEFT] + named[MOUTH_RIGHT]) / 2
    down = mouth - eyes
    along = (vertices_mm[:, :2] - eyes[:2]) @ down[:2] / max(float(down[:2] @ down[:2]), 1e-9)
    middle_x = eyes[0] + along * down[0]
    band = (along > 0.2) & (along < 0.9) & (np.abs(vertices_mm[:, 0] - middle_x) < _NOSE_HALF_WIDTH_MM)
    if not band.any():
        return None
    candidates = vertices_mm[band]
    return candidates[int(np.argmax(candidates[:, 2]))]
