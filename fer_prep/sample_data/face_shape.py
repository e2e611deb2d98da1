"""The face at rest: a rolled sheet with nose, brow ridge, eye sockets, lips and chin, and how people differ in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from fer_prep.sample_data.bumps import bumps_by_name, mirrored_field
from fer_prep.sample_data.face_plan import UNROLL_MM, bell
from fer_prep.sample_data.plan_mesh import PlanMesh, plan_mesh

Array = NDArray[np.float64]
Knot = TypeVar("Knot", int, float)

# plan y → mm; anthropometric means of adult faces, rounded
_HALF_WIDTH: Final = {
    -128: 20, -118: 29, -111: 34, -104: 41, -90: 50, -70: 58, -50: 63, -20: 69, 0: 70, 30: 69, 55: 65, 76: 56,
}  # fmt: skip
_MIDLINE_Z: Final = {
    -128: -42, -121: -24, -116: -12, -112: -3, -107: 2, -98: 4, -86: 2, -70: 4, -52: 3, -30: 0,
    -5: -3, 6: -2, 18: 3, 32: 4, 48: 0, 62: -7, 76: -18,
}  # fmt: skip
_HEIGHT: Final = {-128: -116, -121: -115, -116: -113.5, -112: -111, -104: -104, -60: -60, 0: 0, 76: 76}
_ROLL_DEPTH_MM: Final = 76.0

EYEBALL_RADIUS_MM: Final = 12.3
LID_THICKNESS_MM: Final = 1.1
EYEBALL_CENTRE: Final = (31.8, 0.0, -22.0)
"""Of the left eye; the right one is its mirror image."""

TRAITS: Final = tuple(name for name in bumps_by_name() if not name.isdecimal())
"""In which people differ."""


def _profile(table: Mapping[Knot, float], y: Array) -> Array:
    """A smooth monotone-piecewise curve through a table of y → value."""
    knots = sorted(table)
    return PchipInterpolator(knots, [table[k] for k in knots])(np.clip(y, knots[0], knots[-1]))


def _nose(x: Array, y: Array) -> Array:
    """Height of the nose above the sheet: ridge, tip, wings, less the hollow of the nostrils."""
    ridge = {
        -80.0: 0, -57: 0, -53.5: 3.5, -50: 12, -46: 19.5, -42: 22.5, -38: 22, -28: 16.5, -15: 10, -3: 5, 8: 1.5, 20: 0,
        80: 0,
    }  # fmt: skip
    width = {-80: 9, -54: 10, -46: 9.5, -40: 9.0, -30: 8.0, -15: 6.8, 0: 6.5, 15: 8, 80: 8}
    height, half = _profile(ridge, y), _profile(width, y)
    bridge = height * np.exp(-((np.abs(x) / half) ** 2.3))
    wings = 9.5 * bell(np.abs(x), y, (12.5, -45.5), (4.6, 4.8))
    nostrils = -4.5 * bell(np.abs(x), y, (6.8, -51.2), (2.6, 1.6))
    return bridge + wings + nostrils


def _relief(x: Array, y: Array) -> Array:
    """Height of everything but the nose above the sheet, for frontal plan coordinates."""
    side = np.abs(x)
    sockets = -6.0 * bell(side, y, (30, 1), (14, 8.5)) - 4.0 * bell(side, y, (14.5, 1), (5, 8))
    brow_ridge = 2.6 * bell(side, y, (26, 20), (17, 6))
    cheekbones = 3.2 * bell(side, y, (44, -22), (14, 12))
    muzzle = 4.5 * bell(x, y, (0, -68), (22, 17))
    lips = 3.6 * bell(x, y, (0, -66.3), (15, 3.4)) + 4.4 * bell(x, y, (0, -77.2), (13, 3.8))
    lip_line = -2.4 * bell(x, y, (0, -71), (23, 1.7)) - 2.2 * bell(side, y, (25.5, -71), (4, 4))
    below_lip = -4.0 * bell(x, y, (0, -87.5), (15, 4.2))
    chin = 5.5 * bell(x, y, (0, -101), (14, 8.5))
    philtrum = -1.3 * bell(x, y, (0, -57.5), (2.2, 4.5)) + 0.7 * bell(side, y, (4.5, -58.5), (1.8, 4))
    return sockets + brow_ridge + cheekbones + muzzle + lips + lip_line + below_lip + chin + philtrum


def _sheet(mesh: PlanMesh) -> Array:
    """(V, 3) the plan rolled round the head, before any relief."""
    y = mesh.xy[:, 1]
    half_width = _profile(_HALF_WIDTH, y)
    angle = mesh.unrolled / UNROLL_MM
    # in front one plan millimetre is one millimetre, whatever the width; at the sides the sheet ends at 90°
    angle = angle + (68.0 / half_width - 1) * angle * np.clip(1 - np.abs(angle) / 1.571, 0, 1) ** 2
    x = half_width * np.sin(angle)
    z = _profile(_MIDLINE_Z, y) - _ROLL_DEPTH_MM * (1 - np.cos(angle))
    return np.column_stack([x, _profile(_HEIGHT, y), z])


@lru_cache(maxsize=1)
def mean_face() -> Array:
    """(V, 3) the mean face in mm: eyes still hollow, lips 5 mm apart as in the plan."""
    mesh = plan_mesh()
    points = _sheet(mesh)
    x, y = mesh.xy.T
    points[:, 2] += _nose(x, y) + _relief(x, y)
    return points


@lru_cache(maxsize=1)
def identity_fields() -> dict[str, Array]:
    """For each trait the (V, 3) displacement in mm of one standard deviation."""
    xy = plan_mesh().xy
    return {name: np.add(*mirrored_field(xy, bumps_by_name()[name])) for name in TRAITS}


@lru_cache(maxsize=256)
def _trait_shift(name: str, at: tuple[float, float]) -> Array:
    return np.add(*mirrored_field(np.array([at]), bumps_by_name()[name]))[0]


def identity_shift(traits: Mapping[str, float], at: tuple[float, float]) -> Array:
    """(3,) displacement in mm that the traits cause at one plan position (used for the eyeballs)."""
    return sum((value * _trait_shift(name, at) for name, value in traits.items()), np.zeros(3))


def resting_face(traits: Mapping[str, float], *, scale: tuple[float, float, float]) -> Array:
    """(V, 3) the face of a person in mm: traits in standard deviations, then ``scale`` along x, y, z."""
    points = mean_face().copy()
    for name, value in traits.items():
        points += value * identity_fields()[name]
    return points * np.asarray(scale)
