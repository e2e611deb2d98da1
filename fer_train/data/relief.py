"""Colour and relief as one picture of six channels: what a small network learns most from, in one stream.

A network that meets holes learns holes first, which tell the sensor and not the expression: here there are none.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from fer_train.data.images import FULL_DEPTH_MM, Images, neighbours

RELIEF_MM: Final = 30.0
SLOPE_MM: Final = 3.0
"""About the standard deviation of a face's depth, and of the difference of two pixels beside another at 96 × 96."""
LIMIT: Final = 3.0


def colour_and_relief(images: Images) -> Tensor:
    """(B, 6, S, S): red, green and blue; depth about its mean in the middle; its slopes to the right and downward."""
    depth_mm = without_holes(images["depth"]) * FULL_DEPTH_MM
    side = depth_mm.shape[-1]
    middle = depth_mm[..., side // 4 : -side // 4, side // 4 : -side // 4].mean(dim=(2, 3), keepdim=True)
    left, right, above, below = neighbours(depth_mm)
    slopes = torch.cat([right - left, below - above], dim=1) * (side / 96 / 2 / SLOPE_MM)
    relief = torch.cat([(depth_mm - middle) / RELIEF_MM, slopes], dim=1)
    return torch.cat([(images["rgb"] - 0.45) / 0.25, relief.clamp(-LIMIT, LIMIT)], dim=1)


def without_holes(depth: Tensor) -> Tensor:
    """(B, 1, S, S), 0 where there is none: a hole takes the mean of the smallest square of 2ᵏ pixels that has depth.

    The pull and push of Gortler et al., "The lumigraph" (SIGGRAPH 1996), §3.4, without weights.
    """
    levels = [(depth, (depth > 0).float())]
    while levels[-1][0].shape[-1] > 1:
        values, known = levels[-1]
        share = functional.avg_pool2d(known, 2, ceil_mode=True)
        mean = functional.avg_pool2d(values * known, 2, ceil_mode=True) / share.clamp(min=1e-6)
        levels.append((mean, (share > 0).float()))
    filled = levels.pop()[0]
    for values, known in reversed(levels):
        coarse = functional.interpolate(filled, scale_factor=2, mode="nearest")[
            ..., : values.shape[2], : values.shape[3]
        ]
        filled = torch.where(known > 0, values, coarse)
    return filled
