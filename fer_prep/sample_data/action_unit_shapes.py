"""What each action unit of FACS does to the face, as displacements at full intensity.

Names and effects follow the Facial Action Coding System (Ekman, Friesen & Hager 2002); the millimetres are this
project's own, chosen so that a full unit looks like FACS intensity D–E.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.bumps import LOWER_LID, LOWER_LIP, UPPER_LID, UPPER_LIP, Bump, mirrored_field
from fer_prep.sample_data.plan_mesh import plan_mesh

Array = NDArray[np.float64]

_UPPER_MARGIN, _LOWER_MARGIN = (32.0, 5.0), (32.0, -4.5)


def _upper_lid(dy: float) -> Bump:
    return Bump(*_UPPER_MARGIN, 11, 4.5, dy=dy, only=UPPER_LID)


def _lower_lid(dy: float) -> Bump:
    return Bump(*_LOWER_MARGIN, 11, 4.5, dy=dy, only=LOWER_LID)


ACTION_UNIT_BUMPS: Final[Mapping[int, tuple[Bump, ...]]] = {
    1: (Bump(15, 24, 12, 11, dx=-0.8, dy=8.5, dz=0.5), Bump(19, 9, 7, 5, dy=2.5)),
    2: (Bump(45, 24, 14, 11, dy=8.5), Bump(43, 9, 9, 5, dy=2.2)),
    4: (
        Bump(14, 19, 12, 9, dx=-3.8, dy=-6.0, dz=1.8),
        Bump(40, 20, 14, 8, dx=-1.5, dy=-3.0),
        Bump(0, 17, 6, 8, dz=1.2),
        Bump(22, 8, 12, 3.5, dy=-1.6, only=UPPER_LID),
    ),
    5: (_upper_lid(3.4), Bump(32, 11, 14, 4, dy=1.8)),
    6: (
        Bump(40, -24, 16, 11, dx=0.5, dy=5.0, dz=3.2),
        _lower_lid(1.8),
        _upper_lid(-0.6),
        Bump(54, 8, 9, 8, dx=-1.2, dy=-2.0),
    ),
    7: (_lower_lid(2.1), _upper_lid(-1.7)),
    9: (
        Bump(12, -34, 8, 11, dx=1.0, dy=5.0, dz=2.0),
        Bump(0, -50, 13, 6, dy=3.2),
        Bump(14, -60, 13, 8, dy=5.0, dz=1.0, only=UPPER_LIP),
        Bump(12, 17, 12, 9, dx=-2.2, dy=-5.0, dz=1.0),
        Bump(0, 0, 7, 9, dz=1.6),
        _lower_lid(1.4),
        _upper_lid(-1.0),
    ),
    10: (
        Bump(11, -64, 12, 7, dy=5.6, dz=1.0, only=UPPER_LIP),
        Bump(21, -50, 8, 9, dy=3.4, dz=2.2),
        Bump(15, -46, 6, 6, dx=0.8, dy=1.8),
    ),
    12: (
        Bump(26, -71, 11, 11, dx=8.5, dy=8.5, dz=-4.5),
        Bump(40, -40, 14, 14, dx=1.5, dy=5.0, dz=4.8),
        Bump(0, -62, 14, 6, dy=-0.8, dz=-1.8),
        Bump(0, -83, 17, 4.5, dy=3.0, dz=-1.5),
        Bump(0, -78, 14, 6, dz=-1.5),
        Bump(15, -46, 6, 6, dx=1.4),
    ),
    14: (Bump(26, -71, 8, 9, dx=5.0, dy=0.6, dz=-4.0), Bump(36, -70, 7, 12, dz=3.0)),
    15: (
        Bump(26, -72, 10, 9, dx=1.2, dy=-8.0, dz=-0.6),
        Bump(28, -86, 9, 9, dy=-3.0, dz=2.2),
        Bump(0, -66, 12, 6, dy=0.6),
    ),
    16: (Bump(9, -79, 14, 7, dy=-5.2, dz=1.2, only=LOWER_LIP),),
    17: (
        Bump(0, -97, 15, 9, dy=5.5, dz=2.4),
        Bump(0, -79, 15, 8, dy=5.0, dz=2.6, only=LOWER_LIP),
        Bump(0, -64, 13, 6, dy=2.2, dz=0.8, only=UPPER_LIP),
        Bump(25, -72, 8, 7, dy=-1.6),
    ),
    20: (
        Bump(26, -72, 11, 11, dx=9.0, dy=-2.2, dz=-5.0),
        Bump(14, -80, 14, 8, dy=-1.6, dz=-1.5, only=LOWER_LIP),
        Bump(34, -92, 12, 12, dx=2.5, dy=-2.5),
    ),
    23: (
        Bump(25, -71, 10, 9, dx=-3.2),
        Bump(0, -63.5, 17, 3.2, dy=-2.4, dz=-0.8, only=UPPER_LIP),
        Bump(0, -81, 17, 3.6, dy=3.4, dz=-0.8, only=LOWER_LIP),
    ),
    24: (
        Bump(25, -71, 10, 9, dx=-1.5, dz=-0.5),
        Bump(0, -63.5, 18, 3.4, dy=-3.6, dz=-1.4, only=UPPER_LIP),
        Bump(0, -81, 18, 4.0, dy=5.0, dz=-1.4, only=LOWER_LIP),
        Bump(0, -98, 14, 9, dy=2.6, dz=1.2),
        Bump(30, -74, 6, 8, dz=2.0),
    ),
    25: (
        Bump(0, -67, 15, 7, dy=1.4, only=UPPER_LIP),
        Bump(0, -76, 15, 9, dy=-3.6, only=LOWER_LIP),
    ),
    34: (Bump(40, -62, 14, 15, dx=6.0, dz=8.0),),
    43: (_upper_lid(-11.0), _lower_lid(0.8)),
}

JAW_DROP_MM: Final[Mapping[int, float]] = {26: 11.0, 27: 25.0}
"""How far the chin sinks."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """How strongly one action unit is activated on each side, 0…1 and a little beyond."""

    unit: int
    left: float
    right: float


def _jaw_field(xy: Array, drop_mm: float) -> Array:
    """(n, 3) displacement by the jaw's rotation; the lower lip goes along, the cheeks are drawn down and in."""
    x, y = np.abs(xy[:, 0]), xy[:, 1]
    follows_lip = mirrored_field(xy, (Bump(0, -71, 15, 40, dy=1.0, only=LOWER_LIP),))
    lip = (follows_lip[0] + follows_lip[1])[:, 1]
    chin = 1 / (1 + np.exp((y + 79.0) / 4.5))
    cheeks = 0.55 / (1 + np.exp((y + 60.0) / 9.0)) * np.exp(-((x / 62.0) ** 4))
    share = np.maximum(np.maximum(lip * (y > -110), chin), cheeks)
    share = share * (1 - 0.45 * np.clip((x - 30) / 40, 0, 1))
    field = np.zeros((len(xy), 3))
    field[:, 1] = -drop_mm * share
    field[:, 2] = -0.32 * drop_mm * share
    field[:, 0] = -np.sign(xy[:, 0]) * drop_mm * 0.16 * np.exp(-(((x - 26) / 13) ** 2) - ((y + 72) / 16) ** 2)
    return field


@lru_cache(maxsize=1)
def action_fields() -> dict[int, tuple[Array, Array]]:
    """For each action unit the (V, 3) displacements in mm of its left and its right half at full intensity."""
    xy = plan_mesh().xy
    fields = {unit: mirrored_field(xy, bumps) for unit, bumps in ACTION_UNIT_BUMPS.items()}
    for unit, drop_mm in JAW_DROP_MM.items():
        jaw = _jaw_field(xy, drop_mm) / 2  # the jaw has no sides: each half counts for one half
        fields[unit] = (jaw, jaw)
    return fields


def displacement(actions: tuple[Action, ...]) -> Array:
    """(V, 3) summed displacement in mm of several action units."""
    total = np.zeros((len(plan_mesh().xy), 3))
    for action in actions:
        left, right = action_fields()[action.unit]
        total += action.left * left + action.right * right
    return total
