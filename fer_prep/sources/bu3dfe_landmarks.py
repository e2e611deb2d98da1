"""The 83 landmarks of BU-3DFE: which row is which point, and whether they belong to the mesh beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.formats.bnd import Bnd
from fer_prep.geometry.turns import rigid_fit
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
SCHEME: Final = "bu3dfe-83"
SCHEME_NAMES: Final = tuple(str(row) for row in range(COUNT))
"""The points have no names of their own: a point is called by its row."""
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


@dataclass(frozen=True, kw_only=True)
class MarkedMesh:
    """The mesh and its 83 points in one frame."""

    vertices_mm: NDArray[np.float64]
    """(V, 3)."""
    points_mm: NDArray[np.float64]
    """(83, 3)."""
    vertex: NDArray[np.int32]
    """(83,) the vertex that each point repeats."""
    turn: NDArray[np.float64]
    """(3, 3) by which the mesh was turned to meet its points."""


def marked_mesh(bnd: Bnd, *, vertices_mm: NDArray[np.float64], path: Path) -> MarkedMesh:
    """The mesh ``vertices_mm`` (V, 3) in the frame of its ``.bnd`` file.

    Every row's coordinates repeat the vertex it numbers, from 0 or from 1. A mesh that was moved or turned after it was
    marked is brought back to its points, rigidly. Raises SampleError, naming ``path``, where the two do not belong
    together.
    """
    if len(bnd.points_mm) < COUNT:
        raise _refused(path, Reason.UNREADABLE, expected=f"{COUNT} landmarks", found=f"{len(bnd.points_mm)}")
    index, points_mm = bnd.vertex_index[:COUNT], bnd.points_mm[:COUNT]
    worst_mm = float("inf")
    for vertex in (index, index - 1):
        if vertex.min() < 0 or vertex.max() >= len(vertices_mm):
            continue
        for turn, shift in ((np.eye(3), np.zeros(3)), rigid_fit(vertices_mm[vertex], points_mm)):
            apart_mm = float(np.linalg.norm(vertices_mm[vertex] @ turn.T + shift - points_mm, axis=1).max())
            if apart_mm < AGREE_MM:
                return MarkedMesh(
                    vertices_mm=vertices_mm @ turn.T + shift,
                    points_mm=points_mm,
                    vertex=vertex.astype(np.int32),
                    turn=turn,
                )
            worst_mm = min(worst_mm, apart_mm)
    beyond = np.flatnonzero(index > len(vertices_mm))
    if len(beyond):
        expected, row = f"numbers of the mesh's {len(vertices_mm)} vertices", int(beyond[0])
        raise _refused(path, Reason.MISMATCH, expected=expected, found=f"{index[row]} in row {row + 1}")
    expected = f"landmarks of the mesh beside them, within {AGREE_MM:g} mm of the vertices they number"
    raise _refused(path, Reason.MISMATCH, expected=expected, found=f"one {worst_mm:.1f} mm away, however it is turned")


def _refused(path: Path, reason: Reason, *, expected: str, found: str) -> SampleError:
    return SampleError(stage="read", reason=reason, path=path, expected=expected, found=found)


def named_points(points_mm: NDArray[np.float64], *, vertices_mm: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Name → (3,) mm of the 83 points (83, 3) and the mesh (V, 3).

    There is no nose tip among the 83: the point of the mesh that stands out most between eyes and mouth is taken.
    """
    named = named_rows(points_mm)
    tip = _nose_tip(named, vertices_mm)
    return named if tip is None else {**named, NOSE_TIP: tip}


def rows_as_called(points_mm: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The named ones of the points (n, 3) with the sides that public descriptions give them; those there are."""
    return {name: points_mm[row] for name, row in ROWS.items() if row < len(points_mm)}


def named_rows(points_mm: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The named ones of the 83 points (83, 3); left is the side of larger x."""
    named = rows_as_called(points_mm)
    eyes = {name: point for name, point in named.items() if name not in (MOUTH_LEFT, MOUTH_RIGHT)}
    mouth = {name: named[name] for name in (MOUTH_LEFT, MOUTH_RIGHT)}
    # eyes and mouth are decided apart: public descriptions agree on the side of the eyes' rows only
    named |= exchanged(eyes) if sides_are_exchanged(eyes) else eyes
    return named | (exchanged(mouth) if sides_are_exchanged(mouth) else mouth)


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
