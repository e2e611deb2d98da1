"""Whose left is it? Datasets name sides from the subject's or from the viewer's point of view, and seldom say which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError
from fer_prep.landmark_names import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from fer_prep.sample import Sample
from fer_prep.sources.read_file import read_file

_LOOKED_AT: Final = 8

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


def side_warnings(
    samples: Iterable[Sample], *, role: str, named: Callable[[bytes], Mapping[str, NDArray[np.float64]]]
) -> list[str]:
    """A warning where landmark files call the picture's left side left; looks into the first few of them.

    ``named`` reads a file to points under the names it gives them. Files that cannot be read are passed over here:
    they are reported when their sample is loaded.
    """
    exchanged_in, looked_at = 0, 0
    for sample in islice((sample for sample in samples if role in sample.files), _LOOKED_AT):
        try:
            points = read_file(sample.files[role], reader=named)
        except (FormatError, OSError):
            continue
        looked_at += 1
        exchanged_in += sides_are_exchanged(points)
    if not exchanged_in:
        return []
    return [
        f"left is the viewer's in {exchanged_in} of {looked_at} landmark files looked at: sides are taken from the "
        "coordinates, file by file, and the subject's left is called left"
    ]


def exchanged(points: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The same points with left and right names exchanged."""
    return {_MIRROR.get(name, name): point for name, point in points.items()}
