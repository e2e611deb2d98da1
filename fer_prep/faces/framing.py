"""Which square of a picture becomes the sample: one rule for all datasets, from the landmarks they all have.

Every dataset (MediaPipe's mesh, the 83 points of BU-3DFE, the 24 of Bosphorus) knows the four eye corners and the
two mouth corners; the chin means different points in each (the jaw's edge or the chin's front), so it is used as a
bound only. The kinds:

``rotate``
    Rotation about the eye midpoint until the eyes are level, then the face crop: a square with the eye midpoint at
    (0.5, 0.36) of it, as large as the widest of three measures asks: eye distance, eye-to-mouth height, eye-to-chin
    height. On an upright frontal face at rest all three agree; a turned head shortens the first and an open jaw
    lengthens the other two, and in both cases the whole face stays in.
``rotate-only``
    The thesis's (§3.2): the whole scene raster as in ``none``, turned about the eye midpoint until the eyes are level;
    neither zoomed nor cropped.
``eyes``
    A similarity: the same place for the eye midpoint and always the same eye distance, so that the scale does not
    follow the expression.
``frontal``
    ``rotate`` of a face that has been turned in space until it looks at the viewer (``faces.frontal``).
``none``
    The whole scene raster, scaled to fit, centred, nothing rotated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.landmark_names import CHIN, EYE_CORNERS, MOUTH_LEFT, MOUTH_RIGHT, eye_centres
from fer_prep.sample import Landmarks, Point

FramingKind = Literal["rotate", "rotate-only", "eyes", "frontal", "none"]

EYE_PLACE: Final = (0.5, 0.36)
"""Where the eye midpoint goes, in fractions of the square: the forehead's share above, the jaw's below."""

EYE_DISTANCE_SHARE: Final = 0.28
"""Eye distance over side for ``eyes``: 63 mm in 225 mm, so that a dropped jaw (140 mm below the eyes) just fits."""

SIDE_PER_EYE_DISTANCE: Final = 3.3
SIDE_PER_MOUTH_HEIGHT: Final = 3.0
SIDE_PER_CHIN_HEIGHT: Final = 1.8
"""Side of the ``rotate`` square over each measure; the last puts the chin at 0.36 + 1/1.8 = 0.92 of it at most."""


@dataclass(frozen=True, kw_only=True)
class Framing:
    """``matrix`` (2, 3) maps scene-raster to output pixels; ``roll_degrees`` is the roll that it removes.

    Roll is 0 where the kind ``none`` left a known face as it was, NaN where no face is known.
    """

    matrix: NDArray[np.float64]
    roll_degrees: float


def framing_matrix(
    kind: FramingKind, landmarks: Landmarks | None, *, raster_size: tuple[int, int], size: int
) -> Framing:
    """How to see a scene of ``raster_size`` (width, height) through ``size`` × ``size`` pixels.

    Raises SampleError (stage ``landmarks``) where the kind needs the eyes and they are not known: a caller that
    keeps such samples asks for ``none``.
    """
    if kind == "none":
        roll = 0.0 if landmarks is not None else math.nan
        return Framing(matrix=_whole_raster(raster_size, size), roll_degrees=roll)
    eyes = None if landmarks is None else eye_centres(landmarks.points)
    if landmarks is None or eyes is None:
        known = "no face" if landmarks is None else f"only {', '.join(sorted(landmarks.points)) or 'no points'}"
        raise SampleError(
            stage="landmarks",
            reason=Reason.NO_FACE,
            expected=f"the eye corners {', '.join(EYE_CORNERS)}",
            found=known,
        )
    left, right = eyes
    across = left - right
    eye_distance_px = float(np.hypot(*across))
    if eye_distance_px < 1:
        raise SampleError(
            stage="landmarks",
            reason=Reason.NO_FACE,
            expected="two eyes apart",
            found=f"{eye_distance_px:.2f} px between them",
        )
    roll, middle = math.atan2(across[1], across[0]), (left + right) / 2
    if kind == "rotate-only":
        whole = _whole_raster(raster_size, size)
        matrix = _similarity(about=middle, roll=roll, scale=whole[0, 0], place=whole[:, :2] @ middle + whole[:, 2])
    else:
        side_px = eye_distance_px / EYE_DISTANCE_SHARE if kind == "eyes" else _face_side_px(landmarks, left, right)
        matrix = _similarity(about=middle, roll=roll, scale=size / side_px, place=np.array(EYE_PLACE) * size)
    return Framing(matrix=matrix, roll_degrees=math.degrees(roll))


def _face_side_px(landmarks: Landmarks, left: Point, right: Point) -> float:
    """Side of the ``rotate`` square in scene-raster pixels."""
    points = landmarks.points
    across = left - right
    eye_distance_px = float(np.hypot(*across))
    down = np.array([-across[1], across[0]]) / eye_distance_px
    middle = (left + right) / 2
    side_px = SIDE_PER_EYE_DISTANCE * eye_distance_px
    if MOUTH_LEFT in points and MOUTH_RIGHT in points:
        mouth = (points[MOUTH_LEFT] + points[MOUTH_RIGHT]) / 2
        side_px = max(side_px, SIDE_PER_MOUTH_HEIGHT * float(down @ (mouth - middle)))
    if CHIN in points:
        side_px = max(side_px, SIDE_PER_CHIN_HEIGHT * float(down @ (points[CHIN] - middle)))
    return side_px


def _similarity(*, about: Point, roll: float, scale: float, place: Point) -> NDArray[np.float64]:
    """Turn by −``roll`` (radians) about a point, scale, and put the point at ``place`` in output pixels."""
    cosine, sine = scale * math.cos(roll), scale * math.sin(roll)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([linear, place - linear @ about])


def _whole_raster(raster_size: tuple[int, int], size: int) -> NDArray[np.float64]:
    """Scale to fit the square, aspect kept, centred."""
    width, height = raster_size
    scale = size / max(width, height)
    return np.array([[scale, 0, (size - scale * width) / 2], [0, scale, (size - scale * height) / 2]], np.float64)
