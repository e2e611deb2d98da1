"""Emotions as combinations of action units, and how people differ in showing them.

The prototypes follow EMFACS (Friesen & Ekman 1983) and the strongest forms of FACS Table 11-1; each person uses some
of the variants and gives every unit a weight of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from fer_prep.sample_data.action_unit_shapes import Action

PROTOTYPES: Final[Mapping[str, tuple[Mapping[int, float], ...]]] = {
    "anger": (
        {4: 1.0, 5: 0.5, 7: 0.8, 23: 0.9, 24: 0.5},
        {4: 1.0, 7: 0.9, 17: 0.6, 24: 0.9},
        {4: 1.0, 5: 0.6, 7: 0.7, 10: 0.5, 16: 0.6, 25: 0.7},
    ),
    "disgust": (
        {9: 1.0, 10: 0.7, 17: 0.5, 4: 0.2},
        {9: 1.0, 10: 0.9, 16: 0.4, 25: 0.6, 7: 0.4},
        {9: 0.8, 10: 1.0, 15: 0.5, 17: 0.6},
    ),
    "fear": (
        {1: 1.0, 2: 0.6, 4: 0.6, 5: 0.9, 20: 0.9, 25: 0.8},
        {1: 1.0, 2: 0.5, 4: 0.7, 5: 1.0, 20: 0.8, 25: 0.8, 26: 0.4},
    ),
    "happiness": ({6: 0.9, 12: 1.0, 25: 0.9}, {6: 0.7, 12: 1.0}, {6: 1.0, 12: 1.0, 25: 1.0, 26: 0.4}),
    "neutral": ({},),
    "sadness": (
        {1: 1.0, 4: 0.6, 15: 1.0},
        {1: 0.9, 4: 0.5, 15: 0.8, 17: 0.7},
        {1: 1.0, 4: 0.4, 15: 0.9, 43: 0.2, 7: 0.2},
    ),
    "surprise": ({1: 1.0, 2: 1.0, 5: 0.8, 25: 0.8, 26: 1.0}, {1: 1.0, 2: 1.0, 5: 0.7, 25: 0.8, 27: 0.8}),
}

_NOISE_UNITS: Final = (1, 2, 4, 7, 12, 14, 15, 17, 25)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one person shows emotions: which variant of each, what weight each unit has, which side is stronger."""

    variant: Mapping[str, int]
    weight: Mapping[int, float]
    lean: float
    """Positive: the left side is the stronger one; a share of the intensity."""


def draw_style(rng: np.random.Generator) -> Style:
    """Draw a person's style."""
    variant = {emotion: int(rng.integers(len(forms))) for emotion, forms in PROTOTYPES.items()}
    units = sorted({unit for forms in PROTOTYPES.values() for form in forms for unit in form})
    weight = {unit: float(rng.uniform(0.78, 1.15)) for unit in units}
    return Style(variant=variant, weight=weight, lean=float(rng.normal(0, 0.06)))


def emotion_actions(emotion: str, *, strength: float, style: Style, rng: np.random.Generator) -> tuple[Action, ...]:
    """The action units of one showing of an emotion at ``strength`` 0…1, with a little that does not belong to it."""
    levels: dict[int, float] = {}
    for unit, level in PROTOTYPES[emotion][style.variant[emotion]].items():
        levels[unit] = level * strength * style.weight[unit] * rng.uniform(0.88, 1.1)
    for unit in rng.choice(_NOISE_UNITS, size=2, replace=False):
        levels[int(unit)] = levels.get(int(unit), 0.0) + float(rng.uniform(0, 0.12))
    lean = style.lean + rng.normal(0, 0.03)
    return tuple(Action(unit=u, left=v * (1 + lean), right=v * (1 - lean)) for u, v in sorted(levels.items()))


def single_unit(unit: int, *, left: float, right: float, rng: np.random.Generator) -> tuple[Action, ...]:
    """One action unit as it is posed on command: nearly pure."""
    spill = int(rng.choice([u for u in _NOISE_UNITS if u != unit]))
    faint = float(rng.uniform(0, 0.1))
    return (Action(unit=unit, left=left, right=right), Action(unit=spill, left=faint, right=faint))


def mean_activations(actions: tuple[Action, ...]) -> dict[int, float]:
    """Unit → mean of its two sides; of a unit named twice, the sum."""
    levels: dict[int, float] = {}
    for action in actions:
        levels[action.unit] = levels.get(action.unit, 0.0) + (action.left + action.right) / 2
    return levels
