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


def view_turn(yaw_degrees: float, pitch_degrees: float) -> Array:
    """(3, 3) yaw about y first, then pitch about x: +z goes to (sin y, cos y sin p, cos y cos p)."""
    yaw, pitch = np.radians([yaw_degrees, pitch_degrees])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    return about_x @ about_y


def rigid_fit(from_mm: Array, to_mm: Array) -> tuple[Array, Array]:
    """Rotation (3, 3) and shift (3,) that bring points (n, 3) nearest to others (Kabsch 1976).

    The rotation is the same where the two differ in size.
    """
    start, end = from_mm.mean(0), to_mm.mean(0)
    u, _, vt = np.linalg.svd((from_mm - start).T @ (to_mm - end))
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    turn = (u @ vt).T
    return turn, end - turn @ start
