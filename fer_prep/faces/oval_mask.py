"""The outline of a face as a mask: what lies outside is blackened in colour and depth alike (``--mask face-oval``).

Where the landmarks carry MediaPipe's face oval, the mask is that polygon. Landmarks of a dataset carry no outline:
there it is two half ellipses about the eye line, as wide as MediaPipe's ovals are on average, reaching the chin.
(Asking MediaPipe for an outline as well would make masks of one dataset depend on a second finder, which may fail.)
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.faces.mediapipe_finder import FACE_OVAL, SCHEME
from fer_prep.geometry.warp import transform_points
from fer_prep.landmark_names import CHIN, MOUTH_LEFT, MOUTH_RIGHT, eye_centres
from fer_prep.sample import Landmarks

HALF_WIDTH: Final = 1.16
FOREHEAD_HEIGHT: Final = 0.86
JAW_DEPTH: Final = 1.84
"""Extent of MediaPipe's face oval beside, above and below the eye midpoint, in eye distances (means over 85 synthetic
faces of seven expressions; standard deviations 0.09, 0.05, 0.06)."""
JAW_DEPTH_PER_MOUTH_HEIGHT: Final = 1.69

_CORNERS: Final = 72
_SHIFT: Final = 8
"""OpenCV takes corners in steps of 1/2⁸ pixel, with pixel centres at whole numbers."""


def oval_mask(landmarks: Landmarks, matrix: NDArray[np.float64], *, size: int) -> NDArray[np.bool_]:
    """True inside the face, (size, size); ``matrix`` (2, 3) maps scene-raster to output pixels.

    Raises SampleError where the landmarks have neither an oval nor both eyes.
    """
    corners = transform_points(face_outline(landmarks), matrix) - 0.5
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(corners * 2**_SHIFT).astype(np.int32)], 1, shift=_SHIFT)
    return mask.astype(bool)


def face_outline(landmarks: Landmarks) -> NDArray[np.float64]:
    """The closed outline of the face, (n, 2) scene-raster pixels, clockwise in the picture."""
    mesh = landmarks.schemes.get(SCHEME)
    return _outline_from_eyes(landmarks) if mesh is None else mesh.points_px[list(FACE_OVAL)]


def _outline_from_eyes(landmarks: Landmarks) -> NDArray[np.float64]:
    points = landmarks.points
    eyes = eye_centres(points)
    if eyes is None:
        raise SampleError(
            stage="landmarks",
            reason=Reason.NO_FACE,
            expected="a face oval or the four eye corners",
            found=landmarks.found_by,
        )
    across = eyes[0] - eyes[1]  # one eye distance to the right of the picture
    down = np.array([-across[1], across[0]])
    middle = (eyes[0] + eyes[1]) / 2
    heights: list[float] = []
    if CHIN in points:
        heights.append(float((points[CHIN] - middle) @ down / (down @ down)))
    if MOUTH_LEFT in points and MOUTH_RIGHT in points:
        mouth = (points[MOUTH_LEFT] + points[MOUTH_RIGHT]) / 2
        heights.append(float(JAW_DEPTH_PER_MOUTH_HEIGHT * ((mouth - middle) @ down / (down @ down))))
    jaw_depth = max(heights, default=JAW_DEPTH)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    x, y = HALF_WIDTH * np.sin(angles), -np.cos(angles)
    y = y * np.where(y < 0, FOREHEAD_HEIGHT, jaw_depth)
    return middle + np.outer(x, across) + np.outer(y, down)
