"""Wrinkles: where the skin folds when action units contract, as darker lines on the painted atlas."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.face_plan import bell
from fer_prep.sample_data.skin import ATLAS_HEIGHT, FACE_WIDTH, face_texels, smooth_noise

Array = NDArray[np.float64]

# how each wrinkle deepens with its action units
_WRINKLE_UNITS: Final[Mapping[str, Mapping[int, float]]] = {
    "forehead": {1: 0.7, 2: 0.8},
    "glabella": {4: 1.0, 9: 0.5},
    "nose root": {9: 1.0},
    "nasolabial": {12: 0.9, 10: 0.8, 9: 0.7, 6: 0.2, 20: 0.3},
    "crow's feet": {6: 0.9},
    "under eye": {6: 0.5, 7: 0.6, 9: 0.3},
    "mouth corner": {15: 0.8, 14: 0.6},
    "chin": {17: 0.9, 24: 0.3},
}


def _line(distance: Array, width: float) -> Array:
    return np.exp(-((distance / width) ** 2))


@lru_cache(maxsize=1)
def wrinkle_maps() -> dict[str, NDArray[np.float32]]:
    """(ATLAS_HEIGHT, FACE_WIDTH) darkness 0…1 of every wrinkle at its deepest."""
    x, y = face_texels()
    side = np.abs(x)
    forehead = sum(_line(y - level + 0.002 * x**2, 0.9) for level in (34.0, 41.0, 48.0)) * bell(x, y, (0, 41), (26, 14))
    glabella = _line(side - (4.2 + 0.06 * (y - 16)), 0.8) * bell(x, y, (0, 18), (9, 7))
    nose = sum(_line(y - level + 0.02 * x**2, 0.8) for level in (3.0, -1.5, -6.0)) * bell(x, y, (0, -1), (9, 6))
    nasolabial = _line(side - (19 + 0.42 * (-44 - y)) + 0.004 * (y + 58) ** 2, 1.4) * bell(side, y, (25, -58), (14, 11))
    feet = sum(_line(y - 1.0 - slope * (side - 50), 0.7) for slope in (0.35, 0.0, -0.35)) * bell(
        side, y, (54, 1), (4.5, 7)
    )
    under = _line(y + 9.0 - 0.006 * (side - 31) ** 2, 1.0) * bell(side, y, (31, -8), (11, 6))
    corner = _line(side - 28.5 - 0.25 * (-74 - y), 1.2) * bell(side, y, (30, -78), (6, 7))
    pits = np.clip(smooth_noise(np.random.default_rng(7), x.shape, 5), 0, 1.5) * bell(x, y, (0, -98), (10, 7))
    maps = (forehead, glabella, nose, nasolabial, feet, under, corner, pits * 0.5)
    return {name: value.astype(np.float32) for name, value in zip(_WRINKLE_UNITS, maps, strict=True)}


def wrinkled(atlas: NDArray[np.float32], *, activations: Mapping[int, float], age: float) -> NDArray[np.float32]:
    """The atlas with the wrinkles of the given action units (unit → mean of both sides, 0…1)."""
    darkness = np.zeros((ATLAS_HEIGHT, FACE_WIDTH), np.float32)
    for name, units in _WRINKLE_UNITS.items():
        depth = sum(share * activations.get(unit, 0.0) for unit, share in units.items())
        rest = 0.12 * age
        darkness += np.float32(min(depth, 1.2) * (0.22 + 0.12 * age) + rest * 0.4) * wrinkle_maps()[name]
    result = atlas.copy()
    result[:, :FACE_WIDTH] *= 1 - np.clip(darkness, 0, 0.6)[..., None] * np.array([0.8, 1.0, 1.0], np.float32)
    return result
