"""Stored integers to what the network looks at: equalised luma, floats; batched, on any device."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RGB_MAX: Final = 255.0
DEPTH_MAX: Final = 65535.0

LUMA: Final = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G, B."""


@lru_cache(maxsize=64)
def constant(values: tuple[Any, ...], *, device: torch.device) -> Tensor:
    """Numbers as a float32 tensor on the device, copied there once: a copy in every step makes the host wait."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def equalise_luma(rgb: Tensor) -> Tensor:
    """(B, H, W, 3) u8 → the same with the histogram of each picture's luma made flat; the chroma stays.

    Gonzalez and Woods, "Digital image processing", §3.3.1, with the darkest level kept at 0. A uniform picture stays.
    """
    planes = rgb.float()
    luma = (planes * constant(LUMA, device=rgb.device)).sum(dim=3).round().long().flatten(1)  # (B, H·W)
    histogram = torch.zeros(len(rgb), 256, dtype=torch.long, device=rgb.device)
    cumulative = histogram.scatter_add_(1, luma, torch.ones_like(luma)).cumsum(dim=1)  # (B, 256)
    darkest = cumulative.gather(1, luma.amin(dim=1, keepdim=True))  # pixels of the darkest level
    spread = luma.shape[1] - darkest
    target = ((cumulative - darkest).clamp(min=0) * RGB_MAX / spread.clamp(min=1)).round()
    change = torch.where(spread > 0, target.gather(1, luma) - luma, 0.0)
    return (planes + change.reshape(*rgb.shape[:3], 1)).clamp(0, RGB_MAX).round().to(torch.uint8)


def channels_last(planes: Tensor) -> Tensor:
    """(B, C, H, W) with the channels of a pixel side by side in memory, as convolutions like it best."""
    return planes.contiguous(memory_format=torch.channels_last)


def sums_per_sample(rgb: Tensor, depth: Tensor) -> dict[str, NDArray[np.int64]]:
    """What ``/statistics`` holds, of pixels that are not the file's own: (B, H, W, 3) u8, (B, H, W) i32 → (B, …)."""
    values, depths, valid = rgb.long(), depth.long(), depth > 0
    seen = values * valid[..., None]
    sums = {
        "pixels": torch.full((len(rgb),), valid[0].numel()),
        "valid_pixels": valid.sum(dim=(1, 2)),
        "rgb_sum": values.sum(dim=(1, 2)),
        "rgb_sum_of_squares": values.square().sum(dim=(1, 2)),
        "rgb_valid_sum": seen.sum(dim=(1, 2)),
        "rgb_valid_sum_of_squares": seen.square().sum(dim=(1, 2)),
        "depth_sum": depths.sum(dim=(1, 2)),
        "depth_sum_of_squares": depths.square().sum(dim=(1, 2)),
    }
    return {name: value.cpu().numpy() for name, value in sums.items()}
