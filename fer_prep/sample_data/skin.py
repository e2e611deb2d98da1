"""The painted atlas: skin, lips, brows, eyes, teeth, hair and cloth of one person, without any light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.face_plan import (
    MOUTH_CORNER,
    PLAN_BOTTOM_MM,
    PLAN_TOP_MM,
    UNROLLED_LIMIT_MM,
    bell,
    brow_half_height,
    brow_y,
    frontal_x,
    outer_lip_y,
)

Array = NDArray[np.float64]

ATLAS_HEIGHT: Final = 512
FACE_WIDTH: Final = 512
TILE: Final = 128
EYE_TILE_MM: Final = 30.0
MOUTH_TILE_MM: Final = 76.0
LEFT_EYE_TILE, RIGHT_EYE_TILE, MOUTH_TILE, SWATCH_TILE = range(4)
"""Tiles of the right column, from the top."""
HAIR_SWATCH, NECK_SWATCH, CLOTH_SWATCH, EAR_SWATCH = range(4)
"""Quarters of the last tile, from the left."""


@dataclass(frozen=True, kw_only=True)
class Complexion:
    """How a person is coloured; colours are sRGB 0…1."""

    skin: tuple[float, float, float]
    lips: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    cloth: tuple[float, float, float]
    brow_thickness: float
    brow_strength: float
    beard: float
    freckles: float
    blush: float
    age: float
    hairline_mm: float
    noise_seed: int


@lru_cache(maxsize=1)
def face_texels() -> tuple[Array, Array]:
    """Frontal x and y in mm at the texel centres of the face region, both (ATLAS_HEIGHT, FACE_WIDTH)."""
    column = (np.arange(FACE_WIDTH) + 0.5) / FACE_WIDTH
    row = (np.arange(ATLAS_HEIGHT) + 0.5) / ATLAS_HEIGHT
    x = frontal_x((column * 2 - 1) * UNROLLED_LIMIT_MM)
    y = PLAN_TOP_MM + row * (PLAN_BOTTOM_MM - PLAN_TOP_MM)
    grid_x, grid_y = np.meshgrid(x, y)
    return grid_x, grid_y


def face_uv(unrolled_mm: Array, y_mm: Array) -> Array:
    """(n, 2) atlas pixels, x right and y down, of plan positions."""
    u = (unrolled_mm / UNROLLED_LIMIT_MM + 1) / 2 * FACE_WIDTH
    v = (y_mm - PLAN_TOP_MM) / (PLAN_BOTTOM_MM - PLAN_TOP_MM) * ATLAS_HEIGHT
    return np.column_stack([u, v])


def tile_uv(offset_mm: Array, *, tile: int, extent_mm: float) -> Array:
    """(n, 2) atlas pixels of offsets (n, 2) in mm (x right, y up) from the centre of a tile ``extent_mm`` wide."""
    scaled = np.clip(offset_mm / extent_mm, -0.49, 0.49) * TILE
    return np.column_stack([FACE_WIDTH + TILE / 2 + scaled[:, 0], TILE * (tile + 0.5) - scaled[:, 1]])


def swatch_uv(fraction: Array, *, swatch: int) -> Array:
    """(n, 2) atlas pixels of positions (n, 2) in [0, 1]² of a swatch."""
    quarter = TILE / 4
    inner = np.clip(fraction, 0.03, 0.97)
    u = FACE_WIDTH + quarter * (swatch + inner[:, 0])
    return np.column_stack([u, TILE * (SWATCH_TILE + inner[:, 1])])


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: int) -> Array:
    """Smooth noise of unit scale with features about ``grain`` texels wide."""
    coarse = rng.standard_normal((shape[0] // grain + 3, shape[1] // grain + 3))
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float64)


def _soft(value: Array, softness: float) -> Array:
    """0 … 1 as ``value`` goes from below −softness to above +softness."""
    return np.clip(value / (2 * softness) + 0.5, 0, 1)


def _mix(picture: Array, colour: tuple[float, ...] | Array, amount: Array) -> Array:
    return picture + amount[..., None] * (np.asarray(colour) - picture)


def _lip_mask(x: Array, y: Array) -> Array:
    inside = np.minimum(outer_lip_y(x, upper=True) - y, y - outer_lip_y(x, upper=False))
    return _soft(inside, 0.7) * _soft(MOUTH_CORNER[0] - np.abs(x), 1.0)


def _brow_mask(x: Array, y: Array, look: Complexion, rng: np.random.Generator) -> Array:
    side = np.abs(x)
    half = brow_half_height(side) * look.brow_thickness
    inside = _soft(half - np.abs(y - brow_y(side)), 0.9) * _soft(side - 11.0, 1.5) * _soft(54.0 - side, 1.5)
    hairs = np.clip(0.85 + 0.3 * smooth_noise(rng, x.shape, 3), 0.3, 1)
    return inside * hairs * look.brow_strength


def _paint_face(look: Complexion, rng: np.random.Generator) -> Array:
    """(ATLAS_HEIGHT, FACE_WIDTH, 3) skin with lips, brows, nostrils, shadows and beard."""
    x, y = face_texels()
    side = np.abs(x)
    mottle = (
        0.018 * smooth_noise(rng, x.shape, 24)
        + 0.012 * smooth_noise(rng, x.shape, 7)
        + 0.012 * smooth_noise(rng, x.shape, 2)
    )
    face = np.asarray(look.skin) * (1 + mottle[..., None] * np.array([0.8, 1.1, 1.1]))
    blush = look.blush * (bell(side, y, (42, -30), (14, 12)) + 0.7 * bell(x, y, (0, -44), (11, 7)))
    face *= 1 - blush[..., None] * np.array([0.03, 0.16, 0.13])
    under_eye = (0.10 + 0.08 * look.age) * bell(side, y, (29, -9.5), (11, 3.5))
    socket = 0.10 * bell(side, y, (17, 5), (6, 7)) + 0.07 * bell(side, y, (32, 9.5), (13, 3.0))
    crease = (
        0.28 * np.exp(-(((y - (7.2 + 2.6 * np.cos((side - 32) / 16))) / 0.8) ** 2)) * bell(side, y, (32, 9), (10, 8))
    )
    face *= 1 - (under_eye + socket + crease)[..., None] * np.array([0.8, 1.0, 1.0])
    if look.freckles > 0:
        spots = np.clip(smooth_noise(rng, x.shape, 4) - 1.6, 0, 1) * bell(side, y, (26, -28), (24, 14))
        face *= 1 - look.freckles * spots[..., None] * np.array([0.25, 0.4, 0.5])
    stubble = _soft(-56 - y, 8) * _soft(side * 0.25 - 50 - y + 2, 8) * (1 - _lip_mask(x, y))
    stubble = stubble * np.clip(0.75 + 0.25 * smooth_noise(rng, x.shape, 2), 0, 1)
    face = _mix(face, np.asarray(look.hair) * 0.7 + 0.06, look.beard * stubble)
    lips = _lip_mask(x, y)
    lip_colour = np.asarray(look.lips) * (1 + 0.05 * smooth_noise(rng, x.shape, 3)[..., None])
    face = face + (0.9 * lips)[..., None] * (lip_colour - face)
    corner = 0.45 * bell(side, y, (25.5, MOUTH_CORNER[1]), (2.2, 1.3))
    below = 0.10 * bell(x, y, (0, -86), (12, 3))
    nostril = 0.85 * _soft(1.0 - np.hypot((side - 6.9) / 3.4, (y + 50.9 + 0.12 * (side - 7)) / 1.6), 0.25)
    wing = 0.22 * np.exp(-(((np.hypot(side - 11.5, y + 46.5) - 7.0) / 1.0) ** 2)) * _soft(side - 12, 3)
    face *= 1 - np.clip(corner + below + nostril + wing, 0, 1)[..., None]
    face = _mix(face, np.asarray(look.hair) * 0.62, _brow_mask(x, y, look, rng))
    scalp = _soft(y - look.hairline_mm + 0.008 * side**2 + 1.5 * smooth_noise(rng, x.shape, 5), 3.0)
    return _mix(face, np.asarray(look.hair) * 0.85, scalp * 0.9)


def _paint_eye(look: Complexion, rng: np.random.Generator) -> Array:
    """(TILE, TILE, 3) an eyeball seen from the front, 30 mm wide."""
    axis = ((np.arange(TILE) + 0.5) / TILE - 0.5) * EYE_TILE_MM
    x, y = np.meshgrid(axis, -axis)
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    eye = np.ones((TILE, TILE, 3)) * np.array([0.90, 0.885, 0.87])
    eye *= 1 - (0.10 * np.clip(r - 7, 0, 6) / 6)[..., None] * np.array([0.5, 1.4, 1.4])
    fibres = 1 + 0.18 * np.sin(angle * 23 + rng.uniform(0, 6)) * np.sin(r * 2.1) + 0.12 * np.sin(angle * 41)
    iris = np.asarray(look.iris) * fibres[..., None] * (1.15 - 0.55 * _soft(r - 5.1, 0.6))[..., None]
    eye = eye + _soft(5.9 - r, 0.35)[..., None] * (iris - eye)
    eye = _mix(eye, (0.02, 0.02, 0.02), _soft(2.3 - r, 0.3))
    return _mix(eye, (1.0, 1.0, 1.0), 0.9 * _soft(0.85 - np.hypot(x - 1.6, y - 2.0), 0.3))


def _paint_mouth() -> Array:
    """(TILE, TILE, 3) what is behind the lips, skull-fixed: upper teeth over a dark hollow with the tongue."""
    axis = ((np.arange(TILE) + 0.5) / TILE - 0.5) * MOUTH_TILE_MM
    x, y = np.meshgrid(axis, MOUTH_CORNER[1] - 12.0 - axis)
    inside = np.ones((TILE, TILE, 3)) * np.array([0.17, 0.05, 0.05])
    inside = _mix(inside, (0.48, 0.20, 0.19), 0.8 * bell(x, y, (0, -99), (13, 7)))
    bite = MOUTH_CORNER[1] - 2.2 + 0.004 * x**2
    teeth = _soft(y - bite, 0.5) * _soft(23 - np.abs(x), 2.0)
    gaps = 1 - 0.25 * np.exp(-(((np.abs(x) + 3.6) % 7.2 - 3.6) ** 2) / 0.12)
    ivory = np.array([0.88, 0.85, 0.78]) * (gaps * (1 - 0.012 * np.abs(x)))[..., None]
    inside = inside + teeth[..., None] * (ivory - inside)
    return _mix(inside, (0.62, 0.30, 0.30), _soft(y - (bite + 11.0), 1.0))


def _paint_swatches(look: Complexion, rng: np.random.Generator) -> Array:
    """(TILE, TILE, 3) hair strands, neck, cloth, ear."""
    quarter = TILE // 4
    strands = cv2.GaussianBlur(rng.standard_normal((TILE, quarter)), (1, 31), sigmaX=0.1, sigmaY=9)
    hair = np.asarray(look.hair) * (1 + 0.7 * strands[..., None])
    mottle = 1 + 0.02 * smooth_noise(rng, (TILE, quarter), 6)[..., None]
    weave = 1 + 0.05 * smooth_noise(rng, (TILE, quarter), 2)[..., None]
    skin = np.asarray(look.skin)
    neck, ear, cloth = skin * 0.93 * mottle, skin * np.array([0.98, 0.9, 0.9]) * mottle, look.cloth * weave
    return np.hstack([np.asarray(hair, np.float64), neck, cloth, ear])


def paint_atlas(look: Complexion) -> NDArray[np.float32]:
    """(512, 640, 3) sRGB 0…1 albedo of a person."""
    rng = np.random.default_rng(look.noise_seed)
    eye = _paint_eye(look, rng)
    column = np.vstack([eye, eye, _paint_mouth(), _paint_swatches(look, rng)])
    atlas = np.hstack([_paint_face(look, rng), column])
    return np.clip(atlas, 0.01, 1).astype(np.float32)
