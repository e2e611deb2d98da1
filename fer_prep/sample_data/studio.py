"""What surrounds a face in a picture: light, background, the camera's blur and noise, and holes in depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """A key light, a fill light and the sky; colours multiply the albedo in linear light.

    ``key_from`` and ``fill_from`` (3,) are unit vectors from the face to the light; ``tint`` (3,).
    """

    key_from: Array
    key: float
    fill_from: Array
    fill: float
    ambient: float
    tint: Array
    gloss: float


def _unit(x: float, y: float, z: float) -> Array:
    return np.array([x, y, z]) / np.linalg.norm([x, y, z])


def draw_lighting(rng: np.random.Generator, *, variety: float) -> Lighting:
    """Light from the upper front; ``variety`` 0 is a studio, 1 is a room."""
    side = rng.choice([-1.0, 1.0])
    warmth = rng.normal(0, 0.05 * variety)
    return Lighting(
        key_from=_unit(side * rng.uniform(0.15, 0.35 + 0.55 * variety), rng.uniform(0.3, 0.7), 0.9),
        key=float(rng.uniform(0.62, 0.78) * (1 + rng.normal(0, 0.10 * variety))),
        fill_from=_unit(-side * 0.8, rng.uniform(-0.1, 0.3), 0.7),
        fill=float(rng.uniform(0.22, 0.36) * (1 - 0.3 * variety)),
        ambient=float(rng.uniform(0.26, 0.34)),
        tint=np.array([1.0 + warmth, 1.0, 1.0 - warmth]),
        gloss=float(rng.uniform(0.01, 0.06)),
    )


def plain_background(rng: np.random.Generator, *, size: tuple[int, int]) -> Array:
    """(H, W, 3) one colour, a little lighter at the top."""
    width, height = size
    colour = rng.uniform(0.25, 0.8) * (1 + rng.normal(0, 0.08, 3))
    shade = np.linspace(1.08, 0.88, height)[:, None, None]
    return np.clip(colour * shade, 0, 1) * np.ones((height, width, 3))


def room_background(rng: np.random.Generator, *, size: tuple[int, int]) -> Array:
    """(H, W, 3) blurred furniture: rectangles of muted colours on a wall."""
    width, height = size
    picture = plain_background(rng, size=size)
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.integers(0, width), rng.integers(0, height)
        corner = (int(x + rng.integers(width // 8, width // 2)), int(y + rng.integers(height // 8, height // 2)))
        colour = rng.uniform(0.15, 0.8, 3) * 0.6 + 0.4 * rng.uniform(0.2, 0.8)
        cv2.rectangle(picture, (int(x), int(y)), corner, colour.tolist(), thickness=-1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigmaX=width / 60), np.float64)


def through_lens(picture: Array, *, blur_px: float, noise: float, rng: np.random.Generator) -> Array:
    """The picture with a camera's blur (standard deviation in pixels) and noise (share of full scale)."""
    if blur_px > 0.05:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigmaX=blur_px), np.float64)
    return picture + noise * rng.standard_normal(picture.shape, dtype=np.float32)


def spots(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """(H, W) where a depth sensor saw nothing: a few small spots."""
    holes = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(3, 9))):
        x, y = rng.integers(0, shape[1]), rng.integers(0, shape[0])
        axes = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        cv2.ellipse(holes, (int(x), int(y)), axes, 0, 0, 360, 1, thickness=-1)
    return holes.astype(bool)
