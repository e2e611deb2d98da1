"""Colour at sub-pixel places of a picture, averaged over about the area that one output pixel sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Places = NDArray[np.float32]

_ROW: Final = 1024


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

        ``level`` (M,) is log₂ of the texels along one side of a pixel's footprint; the nearest level is taken.
        """
        nearest = np.clip(np.rint(level), 0, len(self.levels) - 1)
        colour = np.empty((len(u), 3), np.uint8)
        for k in np.unique(nearest).astype(int):
            here = np.flatnonzero(nearest == k)
            colour[here] = self._level(k, u[here], v_down[here])
        return colour

    def _level(self, k: int, u: Places, v_down: Places) -> Picture:
        """(M, 3) colours of level ``k``; OpenCV samples rasters, not lists, so the list is folded into rows."""
        height, width = (np.float32(length / 2**k) for length in self.levels[0].shape[:2])
        missing = -len(u) % _ROW
        x, y = (np.pad(values, (0, missing)).reshape(-1, _ROW) for values in (u * width, v_down * height))
        return _bilinear(self.levels[k], x, y).reshape(-1, 3)[: len(u)]
