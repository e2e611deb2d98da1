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

from fer_prep.faces.face_search import find_faces, look_again
from fer_prep.faces.mediapipe_models import detect_faces
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
from fer_prep.sample import Landmarks, Point, Sample, Scene

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

# FACEMESH_FACE_OVAL as one closed walk from the top of the forehead, clockwise in the picture
FACE_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

OVAL_PREFIX: Final = "face_oval_"
"""``Landmarks.extra`` holds the oval as ``face_oval_00``, ``face_oval_01`` … in walking order."""

SMALLEST_EYE_DISTANCE_PX: Final = 6.0

LARGEST_ROLL_DEGREES: Final = 110.0

STEEP_ROLL_DEGREES: Final = 30.0
"""Beyond this, and after any attempt but the first, the face is looked at again in an upright close-up.

Measured on synthetic heads: a tight crop tilted by 50° is off by up to 23° at first and 0.8° afterwards, while heads
within ±25° gain nothing (median 0.3° both times), so that they are not made to wait for it.
"""


@dataclass(frozen=True, kw_only=True)
class MediapipeFinder:
    """Finds the face nearest the centre of the depth; ``task_file`` replaces the models of the wheel."""

    task_file: Path | None = None

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """The landmarks of one face, or None where no attempt shows one."""
        del sample  # the picture says it all
        detect = partial(detect_faces, task_file=self.task_file)
        is_face = partial(_is_face, raster_size=scene.raster_size)
        centre = partial(_person_centre, scene)
        found = find_faces(scene.picture(), detect=detect, plausible=is_face, centre=centre)
        if found is None:
            return None
        attempt, meshes = found
        mesh = meshes[0] if len(meshes) == 1 else _nearest(meshes, centre())
        if attempt != "as-is" or abs(_roll_degrees(mesh)) > STEEP_ROLL_DEGREES:
            closer = [face for face in look_again(scene.picture(), detect=detect, eyes=_eyes(mesh)) if is_face(face)]
            mesh = _nearest(closer, _middle(mesh)) if closer else mesh
        back_end = "mediapipe" if self.task_file is None else "task"
        return Landmarks(
            points=_named(mesh),
            found_by=f"{back_end} {attempt}",
            faces_found=len(meshes),
            extra={f"{OVAL_PREFIX}{k:02d}": mesh[vertex] for k, vertex in enumerate(FACE_OVAL)},
        )


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


def _middle(mesh: NDArray[np.float64]) -> Point:
    """Centre of the face oval."""
    return mesh[list(FACE_OVAL)].mean(axis=0)


def _nearest(meshes: list[NDArray[np.float64]], place: Point) -> NDArray[np.float64]:
    return min(meshes, key=lambda mesh: float(np.hypot(*(_middle(mesh) - place))))


def _is_face(mesh: NDArray[np.float64], *, raster_size: tuple[int, int]) -> bool:
    """Whether a mesh can be a face of this picture: eyes in it and apart, mouth below them, not upside down.

    MediaPipe reports no confidence, padded or turned pictures invite false finds, and a head turned by 90° is
    sometimes found upside down: better to go on searching than to take such a find.
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
    return below_px > 0.3 * eye_distance_px and abs(_roll_degrees(mesh)) <= LARGEST_ROLL_DEGREES
