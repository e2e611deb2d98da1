"""Which way a face is turned, by its landmarks: eyes above the mouth, the nose ahead, or the geometry is turned.

Exporters turn meshes by right angles (y up or z up, front or back). Such a turn is one of 24 and is undone exactly; a
head that is held askew stays as it was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.turns import AXIS_TURNS, turned_degrees
from fer_prep.landmark_names import MOUTH_LEFT, MOUTH_RIGHT, NOSE_TIP, eye_centres

Array = NDArray[np.float64]

MOST_ASKEW_DEGREES: Final = 45.0
"""Further from all right-angled turns than a head is held for a scan of its face."""
_CLEARLY: Final = 0.7
_NOSE_HALF_WIDTH_MM: Final = 20.0
_NOSE_LENGTH_MM: Final = 60.0


def face_axes(points: Mapping[str, Array], *, surface_mm: Array) -> Array | None:
    """(3, 3) the face's own right (of the picture), up and ahead as rows; None where eyes or mouth are not marked.

    ``points`` name → (3,) mm; ``surface_mm`` (V, 3) tells where ahead is when the nose tip is not marked: the face
    stands out between eyes and mouth. Names of left and right are not relied on. The three are always right-handed.
    """
    eyes = eye_centres(points)
    if eyes is None or MOUTH_LEFT not in points or MOUTH_RIGHT not in points:
        return None
    middle = (eyes[0] + eyes[1]) / 2
    up = middle - (points[MOUTH_LEFT] + points[MOUTH_RIGHT]) / 2
    height = float(np.linalg.norm(up))
    across = eyes[0] - eyes[1]
    across -= (across @ up) * up / max(height**2, 1e-9)
    width = float(np.linalg.norm(across))
    if min(height, width) < 1e-3:
        return None
    up, across = up / height, across / width
    ahead = np.cross(across, up)
    if NOSE_TIP in points:
        relief = float((points[NOSE_TIP] - middle) @ ahead)
    else:
        along, beside, out = ((surface_mm - middle) @ np.stack([-up, across, ahead]).T).T
        nose = (along > 0.2 * height) & (along < 0.9 * height) & (abs(beside) < _NOSE_HALF_WIDTH_MM)
        nose &= abs(out) < _NOSE_LENGTH_MM
        relief = float(out[nose].mean()) if nose.any() else 0.0
    if relief < 0:
        across, ahead = -across, -ahead
    return np.stack([across, up, ahead])


def upright_turn(points: Mapping[str, Array], *, surface_mm: Array, path: Path) -> Array:
    """The one of ``AXIS_TURNS`` that sets the marked face upright and to the front: none where it is so, or unknown.

    Raises SampleError, naming ``path``, for a face that no turn by right angles sets right.
    """
    axes = face_axes(points, surface_mm=surface_mm)
    if axes is None:
        return AXIS_TURNS[0]
    turn = max(AXIS_TURNS, key=lambda turn: float(np.trace(turn @ axes.T)))
    askew = turned_degrees(turn @ axes.T)
    if askew > MOST_ASKEW_DEGREES:
        raise SampleError(
            stage="read",
            reason=Reason.MISMATCH,
            path=path,
            expected=f"landmarks of a face that looks along an axis, to {MOST_ASKEW_DEGREES:.0f}°",
            found=f"one turned {askew:.0f}° from it",
        )
    return turn


def best_turn(points_mm: Array, *, surface_mm: Array) -> tuple[Array, float]:
    """The one of ``AXIS_TURNS`` that brings the surface (V, 3) to the points (L, 3), and their median distance then.

    None of them where it is not clearly better: points set by hand lie on no vertex, and a round thing fits many ways.
    """
    tree = KDTree(surface_mm)
    apart = [float(np.median(tree.query(points_mm @ turn)[0])) for turn in AXIS_TURNS]
    best = int(np.argmin(apart))
    best = best if apart[best] < _CLEARLY * apart[0] else 0
    return AXIS_TURNS[best], apart[best]
