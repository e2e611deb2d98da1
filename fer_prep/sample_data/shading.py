"""Light: what colour a point of an atlas-painted surface has under a key light, a fill light and the sky."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """Directions are unit vectors from the face to the light; colours multiply the albedo in linear light."""

    key_direction: tuple[float, float, float]
    key: float
    fill_direction: tuple[float, float, float]
    fill: float
    ambient: float
    tint: tuple[float, float, float]
    gloss: float


def sample_atlas(atlas: NDArray[np.float32], uv: Array) -> Array:
    """(n, 3) bilinear colours at atlas pixels ``uv`` (n, 2), continuous coordinates."""
    wide = uv.astype(np.float32) - 0.5
    # cv2.remap takes at most 32767 columns: fold the list into rows of one picture
    columns = 1024
    padded = np.zeros((-(-len(wide) // columns) * columns, 2), np.float32)
    padded[: len(wide)] = wide
    grid = padded.reshape(-1, columns, 2)
    colours = cv2.remap(atlas, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return colours.reshape(-1, 3)[: len(wide)].astype(np.float64)


def shade(albedo: Array, *, normals: Array, dimming: Array, light: Lighting) -> Array:
    """(n, 3) sRGB 0…1 of points with sRGB ``albedo`` (n, 3), ``normals`` (n, 3) and ``dimming`` (n,) by occlusion."""
    length = np.sqrt(normals[:, 0] ** 2 + normals[:, 1] ** 2 + normals[:, 2] ** 2)
    unit = normals / np.maximum(length, 1e-9)[:, None]
    key_direction, fill_direction = np.asarray(light.key_direction), np.asarray(light.fill_direction)
    # half-wrapped Lambert: skin scatters light past the terminator
    key = np.clip((unit @ key_direction + 0.25) / 1.25, 0, None)
    fill = np.clip((unit @ fill_direction + 0.25) / 1.25, 0, None)
    sky = 0.5 + 0.5 * unit[:, 1]
    strength = light.key * key + light.fill * fill + light.ambient * (0.65 + 0.35 * sky)
    halfway = key_direction + np.array([0.0, 0.0, 1.0])
    halfway /= np.linalg.norm(halfway)
    gloss = light.gloss * np.square(np.square(np.square(np.square(np.clip(unit @ halfway, 0, None)))))
    # a gamma of 2 stands in for sRGB's curve: squares and roots are fast
    linear = np.square(albedo) * ((strength * dimming)[:, None] * np.asarray(light.tint)) + (gloss * dimming)[:, None]
    return np.sqrt(np.clip(linear, 0, 1))
