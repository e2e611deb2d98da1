"""A face mesh in whatever unit and axes, set upright, facing the viewer, in millimetres: the face itself says how.

The mesh is looked at from six sides. Where a face is found, with its nose nearer to the viewer than its eyes (from
behind, the inside of a face looks like a face as well), that side is the front; how the face leans says which way is
up, to a quarter turn, and the distance of the eyes which unit the file is in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.faces.landmarks import LandmarkFinder, make_finder
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.landmark_names import NOSE_TIP, eye_centres
from fer_prep.sample import Frame, Sample, Scene
from fer_prep.sources.marked_face import turned_degrees

Array = NDArray[np.float64]
SceneKind = TypeVar("SceneKind", bound=CastScene)

UNITS_MM: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
EYE_DISTANCES_MM: Final = (40.0, 85.0)
"""Between the eyes' centres: children of a few years to the widest adults (Dodgson 2004: 52 to 78)."""

_TOWARD_VIEWER: Final = tuple(sign * axis for axis, sign in product(np.eye(3)[[2, 1, 0]], (1.0, -1.0)))


@dataclass(frozen=True, kw_only=True)
class FaceFrame:
    """How to bring a mesh into the axes of this project: ``vertices @ turn.T · unit_mm``."""

    turn: Array
    """(3, 3) one of the 24 rotations that map axes to axes."""
    unit: str
    """mm, cm or m."""

    def apply(self, vertices: Array) -> Array:
        """(V, 3) in the file's unit and axes → (V, 3) mm, x right, y up, z toward the viewer."""
        return vertices @ self.turn.T * UNITS_MM[self.unit]


def sides() -> Iterator[Array]:
    """Six rotations (3, 3), each bringing another side to the front; the file's own axes first."""
    yield np.eye(3)
    for toward in _TOWARD_VIEWER:
        up = np.array([0.0, 1.0, 0.0]) if toward[1] == 0 else np.array([0.0, 0.0, 1.0])
        turn = np.stack([np.cross(up, toward), up, toward])
        if not np.array_equal(turn, np.eye(3)):
            yield turn


def find_frame(scene_of: Callable[[Array], Scene], *, path: Path, sample: Sample) -> FaceFrame | None:
    """Look for the face on all sides of a mesh; ``scene_of`` shows it turned by (3, 3), in the file's unit.

    None where no side shows anything like a face. Raises SampleError, naming ``path``, where what is found is the
    inside of one, or has eyes that are not as far apart as eyes are.
    """
    least, most = EYE_DISTANCES_MM
    seen: list[str] = []
    for turn in sides():
        scene = scene_of(turn)
        found = shared_finder().find(scene, sample=sample)
        eyes = None if found is None else eye_centres(found.points)
        if found is None or eyes is None:
            continue
        frame = scene.view(np.eye(2, 3), size=max(scene.raster_size))
        ahead, apart = _nose_ahead(frame, eyes=eyes, nose=found.points[NOSE_TIP])
        unit = next((unit for unit, size in UNITS_MM.items() if least <= apart * size <= most), None)
        if ahead < 0.1 * apart:
            seen.append("the inside of one")
        elif unit is None:
            seen.append(f"one with eyes {apart:.3g} apart, {least:g} to {most:g} mm in no unit")
        else:
            across = eyes[0] - eyes[1]
            quarters = round(np.arctan2(across[1], across[0]) / (np.pi / 2))  # clockwise in the picture
            return FaceFrame(turn=_quarter_turns(quarters) @ turn, unit=unit)
    if not seen:
        return None
    raise no_face(path, found=f"only {', '.join(seen)}")


def no_face(path: Path, *, found: str) -> SampleError:
    """The rejection of a mesh without a face."""
    expected = "a face on one of six sides of the mesh"
    return SampleError(stage="landmarks", reason=Reason.NO_FACE, path=path, expected=expected, found=found)


def set_upright(scene: SceneKind, *, path: Path, sample: Sample) -> SceneKind:
    """An unmarked mesh turned so that the face that is found on it is upright and to the front.

    As it is where none is found: that is said where landmarks are looked for. Raises SampleError like ``find_frame``.
    """
    frame = find_frame(scene.turned, path=path, sample=sample)
    if frame is None or np.array_equal(frame.turn, np.eye(3)):
        return scene
    upright = scene.turned(frame.turn)
    upright.turned_degrees = turned_degrees(frame.turn)
    return upright


@cache
def shared_finder() -> LandmarkFinder:
    """One finder per process: its model takes a while to load."""
    return make_finder("mediapipe")


def _quarter_turns(count: int) -> Array:
    """The rotation (3, 3) about the viewing axis, counter-clockwise, that sets a head upright."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[count % 4]
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float64)


def _nose_ahead(frame: Frame, *, eyes: tuple[Array, Array], nose: Array) -> tuple[float, float]:
    """How much nearer the nose is than the eyes, and how far the eyes are apart, in the mesh's own unit."""
    depth = [_height(frame, point) for point in (nose, *eyes)]
    return depth[0] - (depth[1] + depth[2]) / 2, float(np.hypot(*(eyes[0] - eyes[1]))) * frame.mm_per_pixel


def _height(frame: Frame, point: Array) -> float:
    """The height at a pixel: the median of what is around it; −∞ where there is nothing."""
    column, row = (int(value) for value in point)
    around = frame.z_mm[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5]
    return float(np.nanmedian(around)) if np.isfinite(around).any() else -np.inf
