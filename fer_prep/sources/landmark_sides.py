"""Whose left is it? Datasets name sides from the subject's or from the viewer's point of view, and seldom say which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.landmark_names import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)

SIDES_EXCHANGED: Final = {"with left and right exchanged in": "landmarks"}
"""What a scene says (``Scene.set_right``) of landmark files that call the viewer's left side left."""

_MIRROR: Final = {
    LEFT_EYE_OUTER: RIGHT_EYE_OUTER,
    LEFT_EYE_INNER: RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER: LEFT_EYE_OUTER,
    RIGHT_EYE_INNER: LEFT_EYE_INNER,
    MOUTH_LEFT: MOUTH_RIGHT,
    MOUTH_RIGHT: MOUTH_LEFT,
}
_LEFT: Final = (LEFT_EYE_OUTER, LEFT_EYE_INNER, MOUTH_LEFT)
_RIGHT: Final = (RIGHT_EYE_OUTER, RIGHT_EYE_INNER, MOUTH_RIGHT)


def sides_are_exchanged(points: Mapping[str, NDArray[np.float64]]) -> bool:
    """True where what is named left lies on the picture's left.

    ``points``: name → x, y[, z] with x to the right of the picture; of a face seen from the front, upright within
    90°, the subject's left is on the picture's right. False where one side is missing.
    """
    left = [points[name][0] for name in _LEFT if name in points]
    right = [points[name][0] for name in _RIGHT if name in points]
    return bool(left and right) and float(np.mean(left)) < float(np.mean(right))


def exchanged(points: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The same points with left and right names exchanged."""
    return {_MIRROR.get(name, name): point for name, point in points.items()}
