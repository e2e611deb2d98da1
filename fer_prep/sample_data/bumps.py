"""Smooth local displacements over the face plan: the one building block of identity and of action units.

``bumps.csv`` has those of every trait (one unit is one standard deviation of the population) and of every action unit
of FACS at full intensity. Names and effects of the units follow the Facial Action Coding System (Ekman, Friesen & Hager
2002); the millimetres are this project's own, chosen so that a full unit looks like FACS intensity D–E.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.csv_tables import read_table
from fer_prep.sample_data.face_plan import EYE_INNER, EYE_OUTER, LIP_GAP_MM, MOUTH_CORNER

Array = NDArray[np.float64]

TABLE: Final = Path(__file__).with_name("bumps.csv")
UPPER_LID: Final = "upper lid"
LOWER_LID: Final = "lower lid"
UPPER_LIP: Final = "upper lip"
LOWER_LIP: Final = "lower lip"


@dataclass(frozen=True)
class Bump:
    """A Gaussian displacement round (x, y) of the left half of the plan; all lengths in mm.

    ``width`` and ``height`` are standard deviations. ``only`` confines it to one lid or lip, since lids and lips
    move against each other. A ``mirrored`` bump has its mirror image on the right half.
    """

    x: float
    y: float
    width: float
    height: float
    dx: float = 0.0
    dy: float = 0.0
    dz: float = 0.0
    only: str = ""
    mirrored: bool = True


@cache
def bumps_by_name() -> dict[str, tuple[Bump, ...]]:
    """Name of a trait, or number of an action unit → its bumps, in the order of the table."""
    found: dict[str, list[Bump]] = {}
    for _, cells in read_table(TABLE).lines:
        numbers = {name: float(cells[name]) for name in ("x", "y", "width", "height", "dx", "dy", "dz")}
        bump = Bump(**numbers, only=cells["only"], mirrored=cells["mirrored"] == "yes")
        found.setdefault(cells["of"], []).append(bump)
    return {name: tuple(bumps) for name, bumps in found.items()}


def _share(xy: Array, only: str) -> Array:
    """How much of a bump confined to ``only`` each plan position (n, 2) takes, 0…1."""
    x, y = np.abs(xy[:, 0]), xy[:, 1]
    if only in (UPPER_LID, LOWER_LID):
        slope = (EYE_OUTER[1] - EYE_INNER[1]) / (EYE_OUTER[0] - EYE_INNER[0])
        above = y - (EYE_INNER[1] + slope * (x - EYE_INNER[0]))
        softness = 0.5
    elif only in (UPPER_LIP, LOWER_LIP):
        t = np.clip(x / MOUTH_CORNER[0], 0, 1)
        above = y - (MOUTH_CORNER[1] + 0.9 * (1 - t) ** 2 - 0.05 * LIP_GAP_MM * np.sqrt(1 - t**2))
        softness = 0.4 + 1.2 * t**4
    else:
        return np.ones(len(xy))
    upward = 1 / (1 + np.exp(-np.clip(above / softness, -40, 40)))
    return upward if only in (UPPER_LID, UPPER_LIP) else 1 - upward


def _left_field(xy: Array, bump: Bump) -> Array:
    """(n, 3) displacement of the bump itself, without its mirror image."""
    weight = np.exp(-(((xy[:, 0] - bump.x) / bump.width) ** 2 + ((xy[:, 1] - bump.y) / bump.height) ** 2) / 2)
    weight = weight * _share(xy, bump.only)
    if bump.x == 0 and bump.mirrored:
        weight = weight / (1 + np.exp(-np.clip(xy[:, 0] / 4.0, -40, 40)))
    return weight[:, None] * np.array([bump.dx, bump.dy, bump.dz])


def mirrored_field(xy: Array, bumps: Iterable[Bump]) -> tuple[Array, Array]:
    """Displacements (n, 3) in mm at plan positions ``xy`` (n, 2): of the left half's bumps, and of their mirrors."""
    left, right = np.zeros((len(xy), 3)), np.zeros((len(xy), 3))
    flipped = xy * np.array([-1.0, 1.0])
    for bump in bumps:
        left += _left_field(xy, bump)
        if bump.mirrored:
            right += _left_field(flipped, bump) * np.array([-1.0, 1.0, 1.0])
    return left, right
