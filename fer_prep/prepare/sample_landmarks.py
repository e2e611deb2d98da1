"""The landmarks of one sample as they are stored: in output pixels and, where geometry gives it, in millimetres.

Inside the program the centre of the first pixel is (0.5, 0.5); in files it is (0, 0), so that the formulas of the
format hold as they stand. Half a pixel is taken off here and nowhere else (``_stored``).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.faces.framing import Framing
from fer_prep.faces.landmarks import LandmarkFinder
from fer_prep.faces.mediapipe_finder import SCHEME, SCHEME_NAMES
from fer_prep.geometry.under_points import points_under
from fer_prep.geometry.warp import transform_points
from fer_prep.landmark_names import MOUTH_LEFT, MOUTH_RIGHT, NOSE_TIP, eye_centres
from fer_prep.landmark_set import LandmarkSet
from fer_prep.sample import Frame, Landmarks, PointSet, Sample, Scene
from fer_prep.samples_table import Row

NOT_FOUND: Final = "not found"
"""``landmarks_from`` of a sample that was kept without a face."""

Array = NDArray[np.float64]


def landmark_columns(found: Landmarks | None, *, framing: Framing, frame: Frame) -> Row:
    """The columns of the samples table that are places in the picture; NaN where unknown."""
    points = {} if found is None else dict(found.points)
    eyes = eye_centres(points)
    if eyes is not None:
        points["left_eye"], points["right_eye"] = eyes
    unknown = np.full(2, np.nan)
    columns: Row = {
        name: _stored(transform_points(points.get(name, unknown), framing.matrix))
        for name in ("left_eye", "right_eye", NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT)
    }
    columns["principal_px"] = _stored(np.array(frame.principal_px))
    columns["landmarks_from"] = NOT_FOUND if found is None else found.found_by
    columns["faces_found"] = np.uint8(0 if found is None else min(found.faces_found, 255))
    return columns


def all_landmarks(
    scene: Scene,
    found: Landmarks | None,
    *,
    sample: Sample,
    framing: Framing,
    frame: Frame,
    mesh_finder: LandmarkFinder | None,
) -> dict[str, LandmarkSet]:
    """Scheme → the sample's landmarks: the dataset's own, and the face mesh that ``mesh_finder`` looks for.

    ``found`` framed the face; where it has a face mesh, nobody looks again. The millimetres of the mesh are asked of
    the depth under every point.
    """
    schemes = dict(scene.schemes)
    if mesh_finder is not None:
        if found is None or SCHEME not in found.schemes:
            found = mesh_finder.find(scene, sample=sample)
        unknown = PointSet(names=SCHEME_NAMES, points_px=np.full((len(SCHEME_NAMES), 2), np.nan))
        mesh = unknown if found is None else found.schemes[SCHEME]
        points_px = transform_points(mesh.points_px, framing.matrix)
        schemes[SCHEME] = PointSet(
            names=mesh.names,
            points_px=mesh.points_px,
            points_mm=points_under(frame, points_px, roll_degrees=framing.roll_degrees),
        )
    return {name: _one(points, framing=framing) for name, points in schemes.items()}


def _one(points: PointSet, *, framing: Framing) -> LandmarkSet:
    return LandmarkSet(
        names=points.names,
        points_px=_stored(transform_points(points.points_px, framing.matrix))[None],
        points_mm=None if points.points_mm is None else points.points_mm[None].astype(np.float32),
        vertex=None if points.vertex is None else points.vertex[None],
    )


def _stored(points_px: Array) -> NDArray[np.float32]:
    """Continuous output pixels as they are written: column and row of pixel centres."""
    return (points_px - 0.5).astype(np.float32)
