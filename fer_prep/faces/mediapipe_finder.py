"""Landmarks by MediaPipe's face mesh, searched for in several ways, in scene-raster pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.faces.face_search import Attempt, Detector, find_faces, look_again
from fer_prep.faces.mediapipe_models import detect_faces
from fer_prep.faces.mesh_shape import IMPLAUSIBLE, SUSPICIOUS, upside_downness
from fer_prep.landmark_names import (
    CHIN,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    eye_centres,
)
from fer_prep.sample import Landmarks, Point, PointSet, Sample, Scene

MESH_INDEX: Final[Mapping[str, int]] = {
    RIGHT_EYE_OUTER: 33,
    RIGHT_EYE_INNER: 133,
    LEFT_EYE_INNER: 362,
    LEFT_EYE_OUTER: 263,
    NOSE_TIP: 1,
    MOUTH_RIGHT: 61,
    MOUTH_LEFT: 291,
    CHIN: 152,
}
"""Vertices of MediaPipe's canonical face mesh; right and left are the subject's."""

SCHEME: Final = "mediapipe-468"
SCHEME_NAMES: Final = tuple(str(vertex) for vertex in range(468))
"""The canonical face mesh: a point is called by its vertex. The irises of models that find them are not in it."""

# FACEMESH_FACE_OVAL as one closed walk from the top of the forehead, clockwise in the picture
FACE_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

_OVAL: Final = np.array(FACE_OVAL)

SMALLEST_EYE_DISTANCE_PX: Final = 6.0

STEEP_ROLL_DEGREES: Final = 30.0
"""Beyond this, and after any attempt but the first, the face is looked at again in a close-up, and in one the other way
up where the first leaves doubt.

Measured on synthetic heads: a tight crop tilted by 50° is off by up to 23° at first and 0.8° afterwards, while heads
within ±25° gain nothing (median 0.3° both times), so that they are not made to wait for it.
"""

STEADY_DEGREES: Final = 5.0
"""A face whose shape leaves doubt counts only where its close-up shows it as it was seen before."""


@dataclass(frozen=True, kw_only=True)
class MediapipeFinder:
    """Finds the face nearest the centre of the depth; ``task_file`` replaces the models of the wheel."""

    task_file: Path | None = None

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """The landmarks of one face, or None where no attempt shows one."""
        del sample  # the picture says it all
        detect = partial(detect_faces, task_file=self.task_file)
        look = _Look(picture=scene.picture(), detect=detect)
        found = find_faces(look.picture, detect=detect, confirm=look.confirmed, centre=partial(_person_centre, scene))
        if found is None:
            return None
        attempt, meshes = found
        mesh = meshes[0] if len(meshes) == 1 else _nearest(meshes, _person_centre(scene))
        back_end = "mediapipe" if self.task_file is None else "task"
        return Landmarks(
            points=_named(mesh),
            found_by=f"{back_end} {attempt}",
            faces_found=len(meshes),
            schemes={SCHEME: PointSet(names=SCHEME_NAMES, points_px=mesh[: len(SCHEME_NAMES)])},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Look:
    """One picture to look at again: (H, W, 3) u1 sRGB."""

    picture: NDArray[np.uint8]
    detect: Detector

    def confirmed(self, mesh: NDArray[np.float64], attempt: Attempt) -> NDArray[np.float64] | None:
        """The mesh where it can be a face, from a close-up where there is reason to doubt it; None otherwise."""
        if not self._is_face(mesh):
            return None
        is_steep = abs(_roll_degrees(mesh)) > STEEP_ROLL_DEGREES
        if attempt.name == "as-is" and not is_steep and upside_downness(mesh) <= SUSPICIOUS:
            return mesh
        left, right = _eyes(mesh)
        doubtful: list[NDArray[np.float64]] = []
        for eyes in ((left, right), (right, left)):
            face = self._close_up(eyes)
            if face is None:
                continue
            if upside_downness(face) <= SUSPICIOUS:
                return face
            if upside_downness(face) <= IMPLAUSIBLE and _turn_degrees(_eyes(face), eyes) <= STEADY_DEGREES:
                doubtful.append(face)
        return min(doubtful, key=upside_downness, default=None)

    def _close_up(self, eyes: tuple[Point, Point]) -> NDArray[np.float64] | None:
        """The face nearest to where the eyes (left, right) say, seen with them level."""
        seen = look_again(self.picture, detect=self.detect, eyes=eyes)
        faces = [face for face in seen if self._is_face(face)]
        return _nearest(faces, (eyes[0] + eyes[1]) / 2) if faces else None

    def _is_face(self, mesh: NDArray[np.float64]) -> bool:
        height, width = self.picture.shape[:2]
        return _is_face(mesh, raster_size=(width, height))


def _person_centre(scene: Scene) -> Point:
    """Where the depth says the person is; the middle of the picture where there is no depth."""
    centre = scene.depth_centre()
    return np.array(scene.raster_size) / 2 if centre is None else centre


def _named(mesh: NDArray[np.float64]) -> dict[str, Point]:
    return {name: mesh[vertex] for name, vertex in MESH_INDEX.items()}


def _eyes(mesh: NDArray[np.float64]) -> tuple[Point, Point]:
    """Left and right eye centre."""
    eyes = eye_centres(_named(mesh))
    if eyes is None:
        raise ValueError("MESH_INDEX must name the four eye corners")
    return eyes


def _roll_degrees(mesh: NDArray[np.float64]) -> float:
    left, right = _eyes(mesh)
    return math.degrees(math.atan2(left[1] - right[1], left[0] - right[0]))


def _turn_degrees(eyes: tuple[Point, Point], other: tuple[Point, Point]) -> float:
    """The angle, 0 to 180°, between two eye lines."""
    across, other_across = eyes[0] - eyes[1], other[0] - other[1]
    cosine = across @ other_across / (np.hypot(*across) * np.hypot(*other_across))
    return math.degrees(math.acos(np.clip(cosine, -1, 1)))


def _middle(mesh: NDArray[np.float64]) -> Point:
    """Centre of the face oval."""
    return mesh[_OVAL].mean(axis=0)


def _nearest(meshes: list[NDArray[np.float64]], place: Point) -> NDArray[np.float64]:
    return min(meshes, key=lambda mesh: float(np.hypot(*(_middle(mesh) - place))))


def _is_face(mesh: NDArray[np.float64], *, raster_size: tuple[int, int]) -> bool:
    """Whether a mesh can be a face of this picture: eyes in it and apart, mouth below them.

    MediaPipe reports no confidence, and padded or turned pictures invite false finds: better to go on searching than
    to take such a find.
    """
    if not np.isfinite(mesh).all():
        return False
    eyes = np.array(_eyes(mesh))
    across = eyes[0] - eyes[1]
    eye_distance_px = float(np.hypot(*across))
    if eye_distance_px < SMALLEST_EYE_DISTANCE_PX or not ((eyes >= 0) & (eyes < raster_size)).all():
        return False
    mouth = (mesh[MESH_INDEX[MOUTH_LEFT]] + mesh[MESH_INDEX[MOUTH_RIGHT]]) / 2 - eyes.mean(axis=0)
    below_px = (across[0] * mouth[1] - across[1] * mouth[0]) / eye_distance_px
    return bool(below_px > 0.3 * eye_distance_px)
