"""Colour at sub-pixel places of a picture, averaged over about the area that one output pixel sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Places = NDArray[np.float32]

_BLOCK: Final = 1024
"""OpenCV samples rasters, not lists: lists of places are folded into rows of this length."""


def _bilinear(picture: Picture, x: Places, y: Places) -> Picture:
    """Sample at continuous pixel coordinates (texel k has its centre at k + 0.5); beyond the border: its colour."""
    half = np.float32(0.5)
    return cv2.remap(picture, x - half, y - half, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def reduced_by(picture: Picture, factor: int) -> Picture:
    """The picture at 1/``factor`` of its size, each texel the mean of factor² texels; a rest at the border is cut."""
    height, width = (max(1, length // factor) for length in picture.shape[:2])
    if factor == 1:
        return picture
    whole = picture[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def sample_uniform(picture: Picture, *, x: Places, y: Places, texels_per_pixel: float) -> Picture:
    """Colour at (x, y) (H, W) float32 continuous picture pixels where the scale is about the same everywhere.

    The picture is averaged over the whole number of texels nearest to ``texels_per_pixel`` before it is interpolated.
    """
    factor = int(np.clip(round(texels_per_pixel), 1, min(picture.shape[:2])))
    scale = np.float32(1 / factor)
    return _bilinear(reduced_by(picture, factor), x * scale, y * scale)


@dataclass(frozen=True)
class TexturePyramid:
    """A texture at 1, 1/2, 1/4 … of its size (Williams, "Pyramidal parametrics", SIGGRAPH 1983)."""

    levels: tuple[Picture, ...]

    @classmethod
    def of(cls, texture: Picture, *, depth: int = 4) -> TexturePyramid:
        """Area-average ``texture`` (H, W, 3) down ``depth`` times, or until one side has a single texel."""
        levels = [texture]
        while len(levels) <= depth and min(levels[-1].shape[:2]) > 1:
            levels.append(reduced_by(levels[-1], 2))
        return cls(tuple(levels))

    def sample(self, *, u: Places, v_down: Places, level: Places) -> Picture:
        """(M, 3) colours at ``u`` and ``v_down`` (M,), normalised from the upper left corner.

        ``level`` (M,) is log₂ of the texels along one side of a pixel's footprint; between two levels of the pyramid
        the colour is mixed linearly.
        """
        if not len(u):
            return np.empty((0, 3), np.uint8)
        level = np.clip(level, 0.0, len(self.levels) - 1.0)
        lower = level.astype(np.intp)
        counts = np.bincount(lower)
        # nearly all of a scan is on one level: done for every place, the rest is then done over
        common = int(counts.argmax())
        colour = self._between(common, u, v_down, level)
        for k in np.flatnonzero(counts):
            if k != common:
                here = np.flatnonzero(lower == k)
                colour[here] = self._between(int(k), u[here], v_down[here], level[here])
        return colour

    def _between(self, k: int, u: Places, v_down: Places, level: Places) -> Picture:
        """(M, 3) colours between level ``k`` and the next; nearer to either than ``level`` where that is beyond."""
        missing = -len(u) % _BLOCK
        u, v_down, level = (np.pad(values, (0, missing)).reshape(-1, _BLOCK) for values in (u, v_down, level))
        colour = self._level(k, u, v_down)
        if k + 1 < len(self.levels):
            mix = np.clip(level - np.float32(k), 0, 1)
            colour = cv2.blendLinear(colour, self._level(k + 1, u, v_down), 1 - mix, mix)
        return colour.reshape(-1, 3)[: u.size - missing]  # type: ignore[return-value]

    def _level(self, k: int, u: Places, v_down: Places) -> Picture:
        height, width = (np.float32(length / 2**k) for length in self.levels[0].shape[:2])
        return _bilinear(self.levels[k], u * width, v_down * height)
