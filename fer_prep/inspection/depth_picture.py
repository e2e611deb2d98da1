"""Stored depth as a picture for people."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def shown_range(depth: NDArray[np.uint16]) -> tuple[float, float]:
    """The values that are shown brightest and darkest: nearly all of those with data; (0, 0) where there are none."""
    valid = depth[depth > 0]
    if not len(valid):
        return 0.0, 0.0
    near, far = np.percentile(valid, [1, 99])
    return float(near), float(far)


def depth_picture(depth: NDArray[np.uint16], *, size: int) -> NDArray[np.uint8]:
    """(size, size, 3) sRGB of stored depth: near is bright, far dark, no data grey; contrast of each picture's own."""
    small = np.asarray(cv2.resize(depth, (size, size), interpolation=cv2.INTER_NEAREST_EXACT), np.uint16)
    valid = small > 0
    if not valid.any():
        return np.full((size, size, 3), 90, np.uint8)
    near, far = shown_range(small)
    level = np.clip((far - small.astype(np.float32)) / max(far - near, 1), 0, 1)
    coloured = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    picture = cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB)
    picture[~valid] = 90
    return picture  # type: ignore[return-value]
