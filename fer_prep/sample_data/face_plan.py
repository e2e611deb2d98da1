"""The flat plan of the face: where its features lie, and the one triangulation that every person shares.

The plan is a frontal view in millimetres (x toward the subject's left, y up, origin midway between the eyes) with
eyes open and lips 5 mm apart. Shapes, action units and skin are all written as functions of these coordinates, and
vertex *i* is the same spot of every face.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HALF_WIDTH_MM: Final = 68.0
UNROLL_MM: Final = 62.0
"""The plan is rolled round the head: frontal x = HALF_WIDTH_MM · sin(unrolled x / UNROLL_MM)."""
UNROLLED_LIMIT_MM: Final = 97.0
PLAN_TOP_MM: Final = 74.0
PLAN_BOTTOM_MM: Final = -128.0

EYE_INNER: Final = (17.0, -1.2)
EYE_OUTER: Final = (46.0, 0.6)
EYE_CENTRE: Final = (31.5, 0.0)
MOUTH_CORNER: Final = (25.0, -71.0)
LIP_GAP_MM: Final = 5.0
"""Distance of the inner lip edges at the centre of the plan; the closed mouth of a real shape has none."""


def frontal_x(unrolled_x: Array) -> Array:
    """Frontal x in mm of plan columns given in unrolled mm."""
    return HALF_WIDTH_MM * np.sin(unrolled_x / UNROLL_MM)


def unrolled_x(x: Array) -> Array:
    """Unrolled mm of frontal x in mm (|x| < HALF_WIDTH_MM)."""
    return UNROLL_MM * np.arcsin(np.asarray(x) / HALF_WIDTH_MM)


def bell(x: Array, y: Array, centre: tuple[float, float], width: tuple[float, float]) -> Array:
    """A Gaussian hill of height 1; ``width`` holds its standard deviations."""
    return np.exp(-(((x - centre[0]) / width[0]) ** 2 + ((y - centre[1]) / width[1]) ** 2) / 2)


def lid_y(x: Array, *, upper: bool) -> Array:
    """Height of the lid margin at ``|x|``; both margins meet at the corners."""
    t = np.clip((np.abs(x) - EYE_INNER[0]) / (EYE_OUTER[0] - EYE_INNER[0]), 0.0, 1.0)
    line = EYE_INNER[1] + t * (EYE_OUTER[1] - EYE_INNER[1])
    if upper:
        return line + 5.4 * np.sin(np.pi * t**0.88) ** 0.75
    return line - 4.6 * np.sin(np.pi * t**1.12) ** 0.85


def inner_lip_y(x: Array, *, upper: bool) -> Array:
    """Height of the inner lip edge at ``x``; both edges meet at the mouth corners."""
    t = np.clip(np.abs(x) / MOUTH_CORNER[0], 0.0, 1.0)
    opening = LIP_GAP_MM * np.sqrt(np.clip(1.0 - t**2, 0.0, None))
    line = MOUTH_CORNER[1] + 0.9 * (1 - t) ** 2
    return line + (0.45 if upper else -0.55) * opening


def outer_lip_y(x: Array, *, upper: bool) -> Array:
    """Height of the border between lip and skin at ``x``; the upper one has Cupid's bow."""
    t = np.clip(np.abs(x) / MOUTH_CORNER[0], 0.0, 1.0)
    if upper:
        bow = 8.4 * (1 - t**1.7) - 1.5 * np.exp(-((np.asarray(x) / 3.5) ** 2))
        return MOUTH_CORNER[1] + bow
    return MOUTH_CORNER[1] - 11.2 * (1 - t**2.2) ** 0.8


def brow_y(x: Array) -> Array:
    """Height of the middle of the eyebrow at ``|x|`` between 11 and 54 mm."""
    t = (np.abs(x) - 11.0) / 43.0
    return 15.5 + 8.2 * np.sin(np.pi * np.clip(0.08 + 0.74 * t, 0, 1)) - 1.2 * t


def brow_half_height(x: Array) -> Array:
    """Half the height of the eyebrow at ``|x|``, zero at its ends."""
    t = np.clip((np.abs(x) - 11.0) / 43.0, 0.0, 1.0)
    return 3.3 * (1 - t) ** 0.45 * np.clip(t / 0.05, 0, 1) ** 0.5 + 0.3


def _eye_landmarks() -> list[tuple[float, float]]:
    """Eight points round the left eye: inner corner, upper lid, outer corner, lower lid."""
    xs = np.linspace(EYE_INNER[0], EYE_OUTER[0], 5)
    upper = [(x, float(lid_y(np.array(x), upper=True))) for x in xs[1:4]]
    lower = [(x, float(lid_y(np.array(x), upper=False))) for x in xs[3:0:-1]]
    return [EYE_INNER, *upper, EYE_OUTER, *lower]


def _brow_landmarks() -> list[tuple[float, float]]:
    """Ten points round the left eyebrow, from its inner end along the upper edge and back."""
    xs = np.array([12.0, 22.0, 32.0, 43.0, 53.0])
    middle, half = brow_y(xs), brow_half_height(xs) * 0.8
    upper = list(zip(xs.tolist(), (middle + half).tolist(), strict=True))
    lower = list(zip(xs.tolist(), (middle - half).tolist(), strict=True))
    return [*upper, *lower[::-1]]


def _nose_landmarks() -> list[tuple[float, float]]:
    """Twelve points: down the left side, alar crest, subnasale (row 42), and up the right side."""
    left = [(8.0, 2.0), (10.0, -18.0), (13.0, -36.0), (17.0, -45.0), (12.0, -51.0), (5.5, -52.0)]
    # rows 36…47; the documented anchors are 39 and 44 (alar crests) and 42 (subnasale)
    right = [(-x, y) for x, y in left]
    return [*left[:3], left[3], left[4], left[5], (0.0, -53.5), right[5], right[3], right[2], right[1], right[0]]


def _mouth_landmarks() -> list[tuple[float, float]]:
    """Outer border of the lips (12 points from the left corner over the upper lip), then the inner edges (8)."""
    corner = MOUTH_CORNER
    xs = np.array([16.0, 6.0, 0.0, -6.0, -16.0])
    top = list(zip(xs.tolist(), outer_lip_y(xs, upper=True).tolist(), strict=True))
    low = list(zip(xs[::-1].tolist(), outer_lip_y(xs[::-1], upper=False).tolist(), strict=True))
    inner_xs = np.array([10.0, 0.0, -10.0])
    inner_top = list(zip(inner_xs.tolist(), inner_lip_y(inner_xs, upper=True).tolist(), strict=True))
    inner_low = list(zip(inner_xs[::-1].tolist(), inner_lip_y(inner_xs[::-1], upper=False).tolist(), strict=True))
    left_inner, right_inner = (22.5, corner[1]), (-22.5, corner[1])
    return [corner, *top, (-corner[0], corner[1]), *low, left_inner, *inner_top, right_inner, *inner_low]


def _contour_landmarks() -> list[tuple[float, float]]:
    """Fifteen points along the jaw from the subject's left temple over the chin (row 75) to the right one."""
    left = [(62.0, 8.0), (62.5, -12.0), (61.0, -32.0), (55.0, -54.0), (46.0, -74.0), (34.0, -92.0), (18.0, -106.0)]
    return [*left, (0.0, -111.5), *((-x, y) for x, y in left[::-1])]


def landmark_plan() -> Array:
    """(83, 2) plan positions of the BU-3DFE landmarks, in the order of ``.bnd`` rows."""
    eye, brow = _eye_landmarks(), _brow_landmarks()
    mirrored_eye, mirrored_brow = [(-x, y) for x, y in eye], [(-x, y) for x, y in brow]
    rows = [*eye, *mirrored_eye, *brow, *mirrored_brow, *_nose_landmarks(), *_mouth_landmarks(), *_contour_landmarks()]
    return np.array(rows)
