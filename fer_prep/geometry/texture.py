"""Colour at sub-pixel places of a picture, averaged over about the area that one output pixel sees."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Places = NDArray[np.float32]


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
