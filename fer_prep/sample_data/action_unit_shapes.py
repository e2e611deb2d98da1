"""What each action unit of FACS does to the face, as displacements at full intensity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.bumps import LOWER_LIP, Bump, bumps_by_name, mirrored_field
from fer_prep.sample_data.plan_mesh import plan_mesh

Array = NDArray[np.float64]

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
    fields = {int(name): mirrored_field(xy, bumps) for name, bumps in bumps_by_name().items() if name.isdecimal()}
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
