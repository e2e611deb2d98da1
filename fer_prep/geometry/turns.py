"""Rotations: the 24 by right angles, by which exporters turn meshes, and how far one turns."""

from __future__ import annotations

from itertools import permutations, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AXIS_TURNS: Final[tuple[Array, ...]] = tuple(
    turn
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3))
    if np.linalg.det(turn := np.eye(3)[list(order)] * np.array(signs)[:, None]) > 0
)
"""The 24 rotations (3, 3) that map axes to axes; the first is none."""

SIDES: Final[tuple[Array, ...]] = tuple(
    max((turn for turn in AXIS_TURNS if tuple(turn[2]) == toward), key=lambda turn: float(turn[1] @ (0, 2, 1)))
    for toward in dict.fromkeys(tuple(turn[2]) for turn in AXIS_TURNS)
)
"""Six of them, each bringing another side to the front, with the file's y or z up; the first is none."""


def turned_degrees(turn: Array) -> float:
    """By how much a rotation (3, 3) turns."""
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def set_upright_by(turn: Array) -> dict[str, str]:
    """What a scene says of having been turned (``Scene.set_right``)."""
    degrees = round(turned_degrees(turn))
    return {"turned upright by": f"{degrees}°"} if degrees else {}
