"""Colour at sub-pixel places of a picture, averaged over about the area that one output pixel sees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def _bilinear(picture: Picture, x: NDArray[np.float32], y: NDArray[np.float32]) -> Picture:
    """Sample at continuous pixel coordinates (texel k has its centre at k + 0.5); beyond the border: its colour."""
    return cv2.remap(
        picture, x - np.float32(0.5), y - np.float32(0.5), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )  # type: ignore[return-value]


def reduced_by(picture: Picture, factor: float) -> Picture:
    """The picture at 1/``factor`` of its size by area averaging; unchanged where ``factor`` is at most 1."""
    height, width = picture.shape[:2]
    smaller = (max(1, round(width / factor)), max(1, round(height / factor)))
    if factor <= 1.0 or smaller == (width, height):
        return picture
    return cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def sample_uniform(
    picture: Picture, *, x: NDArray[np.float32], y: NDArray[np.float32], texels_per_pixel: float
) -> Picture:
    """Colour at (x, y) (H, W) float32 continuous picture pixels where the scale is about the same everywhere."""
    source = reduced_by(picture, texels_per_pixel)
    scale_x = np.float32(source.shape[1] / picture.shape[1])
    scale_y = np.float32(source.shape[0] / picture.shape[0])
    return _bilinear(source, x * scale_x, y * scale_y)


@dataclass(frozen=True)
class TexturePyramid:
    """A texture at 1, 1/2, 1/4 … of its size (Williams, "Pyramidal parametrics", SIGGRAPH 1983)."""

    levels: tuple[Picture, ...]

    @classmethod
    def of(cls, texture: Picture, *, depth: int = 4) -> TexturePyramid:
        """Area-average ``texture`` (H, W, 3) down ``depth`` times, or until one side has a single texel."""
        levels = [texture]
        while len(levels) <= depth and min(levels[-1].shape[:2]) > 1:
            levels.append(reduced_by(levels[-1], 2.0))
        return cls(tuple(levels))

    def sample(self, *, u: NDArray[np.float32], v_down: NDArray[np.float32], level: NDArray[np.float32]) -> Picture:
        """(H, W, 3) colour at ``u`` and ``v_down`` (H, W), normalised from the upper left corner.

        ``level`` (H, W) is log₂ of the texels along one side of a pixel's footprint; between two levels of the
        pyramid the colour is mixed linearly.
        """
        level = np.clip(level, 0.0, len(self.levels) - 1.0)
        colour = np.zeros((*u.shape, 3), np.float32)
        for k, picture in enumerate(self.levels):
            weight = np.maximum(0.0, 1.0 - np.abs(level - k))
            if weight.any():
                height, width = picture.shape[:2]
                colour += weight[..., None] * _bilinear(picture, u * np.float32(width), v_down * np.float32(height))
        return np.rint(colour).astype(np.uint8)
