"""Who is in front of the camera: a person's shape, colours, hair and style, drawn once and the same in every scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from fer_prep.sample_data.expressions import Style, draw_style
from fer_prep.sample_data.face_shape import TRAITS
from fer_prep.sample_data.skin import Complexion

ETHNICITIES: Final[Mapping[str, tuple[tuple[float, float, float], float]]] = {
    # code of BU-3DFE → mean skin colour (sRGB) and how dark hair and eyes usually are
    "WH": ((0.86, 0.68, 0.58), 0.45),
    "BL": ((0.47, 0.32, 0.25), 1.0),
    "LA": ((0.76, 0.57, 0.45), 0.9),
    "AE": ((0.86, 0.70, 0.57), 0.97),
    "AM": ((0.79, 0.61, 0.49), 0.85),
    "IN": ((0.62, 0.45, 0.34), 0.97),
}
_HAIR: Final = {
    "light": ((0.62, 0.48, 0.30), (0.48, 0.33, 0.20), (0.42, 0.24, 0.14)),
    "dark": ((0.13, 0.09, 0.07), (0.20, 0.13, 0.09)),
}
_IRIS: Final = {
    "light": ((0.36, 0.50, 0.62), (0.40, 0.50, 0.36), (0.45, 0.48, 0.45)),
    "dark": ((0.30, 0.18, 0.09), (0.22, 0.13, 0.08)),
}


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person; ``gender`` is ``F`` or ``M``, ``traits`` in standard deviations, ``scale`` along x, y, z."""

    gender: str
    ethnicity: str
    traits: Mapping[str, float]
    scale: tuple[float, float, float]
    complexion: Complexion
    style: Style
    hair_length_mm: float
    """How far below the eyes the hair reaches; small values leave the ears free."""
    hair_fullness: float
    temples: float
    """How far in mm the hairline recedes at the temples (where negative, the hair comes forward)."""
    lids_at_rest: float
    lips_at_rest_mm: float


def _traits(gender: str, rng: np.random.Generator) -> dict[str, float]:
    drawn = {name: float(np.clip(rng.normal(0, 0.9), -1.9, 1.9)) for name in TRAITS}
    towards = {
        "jaw_width": 0.6,
        "brow_ridge": 0.8,
        "chin_length": 0.5,
        "nose_forward": 0.4,
        "lip_fullness": -0.5,
        "brow_height": -0.5,
    }
    sign = 1.0 if gender == "M" else -1.0
    return {name: value + sign * towards.get(name, 0.0) for name, value in drawn.items()}


def _colour(choices: tuple[tuple[float, float, float], ...], rng: np.random.Generator) -> tuple[float, float, float]:
    chosen = np.asarray(choices[int(rng.integers(len(choices)))]) * rng.uniform(0.85, 1.15)
    return tuple(float(value) for value in np.clip(chosen, 0.02, 0.98))  # type: ignore[return-value]


def _complexion(gender: str, ethnicity: str, rng: np.random.Generator) -> Complexion:
    mean, darkness = ETHNICITIES[ethnicity]
    skin = np.clip(np.asarray(mean) * rng.uniform(0.9, 1.08) * (1 + rng.normal(0, 0.02, 3)), 0.1, 0.95)
    rosy = np.array([0.87, 0.64, 0.62]) if gender == "M" else np.array([0.89, 0.55, 0.55])
    hair_tone = "dark" if rng.random() < darkness else "light"
    iris_tone = "dark" if rng.random() < darkness else "light"
    age = float(rng.uniform(0, 1))
    return Complexion(
        skin=tuple(skin.tolist()),
        lips=tuple((skin * rosy + rng.normal(0, 0.015, 3)).clip(0.08, 0.95).tolist()),
        hair=_colour(_HAIR[hair_tone], rng),
        iris=_colour(_IRIS[iris_tone], rng),
        cloth=_colour(
            ((0.25, 0.32, 0.45), (0.5, 0.5, 0.5), (0.45, 0.2, 0.22), (0.2, 0.36, 0.28), (0.8, 0.78, 0.74)), rng
        ),
        brow_thickness=float(rng.uniform(0.9, 1.35) if gender == "M" else rng.uniform(0.6, 1.0)),
        brow_strength=float(rng.uniform(0.75, 0.95)),
        beard=float(rng.choice([0.0, 0.12, 0.25, 0.5], p=[0.4, 0.3, 0.2, 0.1])) if gender == "M" else 0.0,
        freckles=float(rng.uniform(0, 1)) if rng.random() < 0.25 else 0.0,
        blush=float(rng.uniform(0.2, 1.0)),
        age=age,
        hairline_mm=float(rng.uniform(56, 68)),
        noise_seed=int(rng.integers(2**31)),
    )


def draw_person(gender: str, *, rng: np.random.Generator) -> Person:
    """Draw a person of the given gender."""
    ethnicity = str(rng.choice(list(ETHNICITIES), p=[0.4, 0.12, 0.12, 0.16, 0.1, 0.1]))
    size = rng.normal(1.03 if gender == "M" else 0.97, 0.02)
    scale = size * (1 + np.clip(rng.normal(0, 0.025, 3), -0.05, 0.05))
    short = gender == "M" or rng.random() < 0.25
    return Person(
        gender=gender,
        ethnicity=ethnicity,
        traits=_traits(gender, rng),
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        complexion=_complexion(gender, ethnicity, rng),
        style=draw_style(rng),
        hair_length_mm=float(rng.uniform(5, 25) if short else rng.uniform(70, 190)),
        hair_fullness=float(rng.uniform(0.98, 1.04) if short else rng.uniform(1.0, 1.1)),
        temples=float(rng.uniform(-4, 16)),
        lids_at_rest=float(rng.uniform(0.0, 0.12)),
        lips_at_rest_mm=float(rng.choice([0.0, 0.0, 0.6])),
    )
