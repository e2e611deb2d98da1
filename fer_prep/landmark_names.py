"""The names that landmarks have in this project, whoever found them. Left and right are the subject's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEFT_EYE_OUTER: Final = "left_eye_outer"
LEFT_EYE_INNER: Final = "left_eye_inner"
RIGHT_EYE_INNER: Final = "right_eye_inner"
RIGHT_EYE_OUTER: Final = "right_eye_outer"
NOSE_TIP: Final = "nose_tip"
MOUTH_LEFT: Final = "mouth_left"
MOUTH_RIGHT: Final = "mouth_right"
CHIN: Final = "chin"

EYE_CORNERS: Final = (LEFT_EYE_OUTER, LEFT_EYE_INNER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER)


def eye_centres(
    points: Mapping[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The midpoints of the corners of the left and the right eye, in the points' own space (2-D or 3-D).

    None where any of the four corners is missing.
    """
    if any(name not in points for name in EYE_CORNERS):
        return None
    left = (points[LEFT_EYE_OUTER] + points[LEFT_EYE_INNER]) / 2
    right = (points[RIGHT_EYE_OUTER] + points[RIGHT_EYE_INNER]) / 2
    return left, right
