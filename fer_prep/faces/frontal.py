"""Turning a face until it looks at the viewer: ``--framing frontal``.

Which way a face looks is said by its eye corners, nose tip and mouth corners in space, the surface under the landmarks:
MediaPipe's canonical face is laid on them by a rotation, a scale and a shift (Umeyama 1991). It is turned by yaw, then
pitch, as views are; the roll that is left is removed by the framing, as ever. A picture with depth is turned as the
range grid that its pixels are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.faces.depth_unit import TYPICAL_EYE_DISTANCE_MM
from fer_prep.faces.picture_scene import FOREGROUND_MM, PictureScene
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.geometry.turns import rigid_fit, view_turn
from fer_prep.geometry.under_points import camera_of, points_under, values_under
from fer_prep.landmark_names import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    eye_centres,
)
from fer_prep.sample import Frame, Landmarks, Scene

Array = NDArray[np.float64]

CANONICAL: Final[Mapping[str, tuple[float, float, float]]] = {
    RIGHT_EYE_OUTER: (-4.446, 2.664, 3.173),
    RIGHT_EYE_INNER: (-1.856, 2.585, 3.758),
    LEFT_EYE_INNER: (1.856, 2.585, 3.758),
    LEFT_EYE_OUTER: (4.446, 2.664, 3.173),
    NOSE_TIP: (0.0, -1.127, 7.476),
    MOUTH_RIGHT: (-2.456, -4.343, 4.284),
    MOUTH_LEFT: (2.456, -4.343, 4.284),
}
"""MediaPipe's canonical face model: x right, y up, z ahead, in its own unit (about a centimetre)."""

_PASSES: Final = 2
"""Landmarks that were found on a turned face are found better once it is frontal."""
_AROUND: Final = 0.02
"""Of the eye distance: how far around a landmark the surface is looked at, for holes and noise."""
_FEWEST: Final = 5
"""Of the seven points."""
_HALF_SIDE: Final = 2.5
"""Of the square of a picture that becomes a surface, in eye distances: the head."""


@dataclass(frozen=True, kw_only=True)
class FrontalView:
    """A scene whose face looks at the viewer, but for its roll."""

    scene: Scene
    landmarks: Landmarks
    yaw_degrees: float
    """By how much the geometry was turned, as ``Sample`` says it of views."""
    pitch_degrees: float
    is_metric: bool
    """Whether its millimetres are known; a picture whose focal length nobody knows is as large as its eyes say."""


def frontal_view(scene: Scene, landmarks: Landmarks, *, find: Callable[[Scene], Landmarks | None]) -> FrontalView:
    """The scene turned frontally; ``find`` finds landmarks in a scene, anew in the turned one.

    Raises SampleError where there is no depth under eyes, nose and mouth, and for a photograph beside a mesh.
    """
    is_metric = True
    if isinstance(scene, PictureScene):
        is_metric = math.isfinite(scene.focal_px)
        scene, landmarks = surface_of_picture(scene, landmarks)
    if not isinstance(scene, CastScene):
        raise TypeError(f"a {type(scene).__name__}, which cannot be turned")
    turned, yaw, pitch = scene, 0.0, 0.0
    for _ in range(_PASSES):
        frame = turned.view(np.eye(2, 3), size=max(turned.raster_size))
        points_mm = _under(frame, landmarks) @ view_turn(yaw, pitch)  # as they were before it was turned
        known = {
            name: point for name, point in zip(landmarks.points, points_mm, strict=True) if np.isfinite(point).all()
        }
        names = [name for name in CANONICAL if name in known]
        if len(names) >= _FEWEST:
            yaw, pitch = _looks_along(np.stack([known[name] for name in names]), names)
        elif turned is scene:
            raise SampleError(
                stage="frame",
                reason=Reason.NO_DEPTH,
                expected="depth under eyes, nose and mouth, to turn the face by",
                found=f"depth under {', '.join(names) or 'none of them'}",
            )
        else:
            break
        turned = scene.turned(view_turn(yaw, pitch))
        carried = _carried(landmarks, turned.project(points_mm @ view_turn(yaw, pitch).T))
        found = find(turned)
        # points of a file are of the picture as recorded
        landmarks = carried if found is None or found.found_by == "file" else found
    return FrontalView(scene=turned, landmarks=landmarks, yaw_degrees=yaw, pitch_degrees=pitch, is_metric=is_metric)


def _looks_along(points_mm: Array, names: Sequence[str]) -> tuple[float, float]:
    """Yaw and pitch, degrees, that turn the face with these points (n, 3) to the viewer."""
    turn, _ = rigid_fit(np.array([CANONICAL[name] for name in names]), points_mm)
    right, up, ahead = turn[:, 2]
    return math.degrees(math.atan2(-right, ahead)), math.degrees(math.atan2(-up, math.hypot(right, ahead)))


def _under(frame: Frame, landmarks: Landmarks) -> Array:
    """(n, 3) mm of the landmarks, from the surface around them."""
    points_px, eyes = np.array(list(landmarks.points.values())), eye_centres(landmarks.points)
    apart_px = 0.0 if eyes is None else float(np.hypot(*(eyes[0] - eyes[1])))
    return points_under(frame, points_px, around=round(_AROUND * apart_px) + 1)


def surface_of_picture(scene: PictureScene, landmarks: Landmarks) -> tuple[GridScene, Landmarks]:
    """The head in a picture with depth as the surface through its pixels, and the landmarks on it.

    Where the focal length is not known it is that of eyes ``TYPICAL_EYE_DISTANCE_MM`` apart.
    """
    width, height = scene.raster_size
    z_mm = np.where(scene.valid, scene.z_mm, np.nan)
    eyes = eye_centres(landmarks.points)
    eyes_mm = np.full(2, np.nan) if eyes is None else values_under(z_mm, np.stack(eyes), around=2)
    if eyes is None or not (eyes_mm < 0).all():  # NaN compares false
        expected = "depth under both eyes, to turn the face by, as a camera measures it"
        found = "none" if np.isnan(eyes_mm).any() else "heights that are no distances from a camera"
        raise SampleError(stage="frame", reason=Reason.NO_DEPTH, expected=expected, found=found)
    apart_px = float(np.hypot(*(eyes[0] - eyes[1])))
    focal_px = scene.focal_px
    if not math.isfinite(focal_px):
        focal_px = apart_px * -float(eyes_mm.mean()) / TYPICAL_EYE_DISTANCE_MM
    frame = Frame(rgb=scene.rgb, z_mm=z_mm, valid=scene.valid, focal_px=focal_px, principal_px=(width / 2, height / 2))
    middle, half = (eyes[0] + eyes[1]) / 2, _HALF_SIDE * apart_px
    left, top = np.maximum(middle - half, 0).astype(int)
    right, bottom = np.ceil(middle + half).astype(int)
    rows, columns = np.mgrid[top : min(bottom, height), left : min(right, width)].astype(np.float64)
    heights = z_mm[top:bottom, left:right].astype(np.float64)
    surface = GridScene(
        camera_of(frame).points_at(columns, rows, heights),
        image_uv=np.stack([(columns + 0.5) / width, (rows + 0.5) / height], axis=-1),
        valid=np.abs(heights - eyes_mm.mean()) < FOREGROUND_MM / 2,
        picture=scene.rgb,
        landmarks_mm={},
        landmarks_px=scene.landmarks,
    )
    for scheme, points in scene.schemes.items():
        surface.set_scheme(scheme, names=points.names, points_mm=points_under(frame, points.points_px))
    return surface, _carried(landmarks, surface.project(_under(frame, landmarks)))


def _carried(landmarks: Landmarks, points_px: Array) -> Landmarks:
    """The same points at other places (n, 2), those that have one."""
    places = dict(zip(landmarks.points, points_px, strict=True))
    known = {name: place for name, place in places.items() if np.isfinite(place).all()}
    return replace(landmarks, points=known, schemes={})
