"""Stored integers to what the network looks at: other sizes, equalised luma, floats; batched, on any device."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

RGB_MAX: Final = 255.0
DEPTH_MAX: Final = 65535.0

LUMA: Final = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G, B."""


@lru_cache(maxsize=64)
def constant(values: tuple[Any, ...], *, device: torch.device) -> Tensor:
    """Numbers as a float32 tensor on the device, copied there once: a copy in every step makes the host wait."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def resize_rgb(rgb: Tensor, *, size: int) -> Tensor:
    """(B, H, W, 3) u8 → (B, size, size, 3) u8, bilinear with antialiasing."""
    if tuple(rgb.shape[1:3]) == (size, size):
        return rgb
    planes = functional.interpolate(rgb.permute(0, 3, 1, 2).float(), size=(size, size), mode="bilinear", antialias=True)
    return planes.round().clamp(0, RGB_MAX).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def resize_depth(depth: Tensor, *, size: int) -> Tensor:
    """Stored depth (B, H, W) i32 → (B, size, size) i32, averaging only what was measured.

    Each new pixel is the mean of the valid pixels under its kernel; it is valid where they make up at least half of
    the kernel. So holes keep their place, no value is mixed with the 0 of *no data*, and nothing is invented.
    """
    if tuple(depth.shape[1:]) == (size, size):
        return depth
    both = torch.stack([depth.float(), (depth > 0).float()], dim=1)  # (B, 2, H, W)
    total, weight = functional.interpolate(both, size=(size, size), mode="bilinear", antialias=True).unbind(dim=1)
    mean = (total / weight.clamp(min=1e-6)).round().clamp(1, DEPTH_MAX)
    return torch.where(weight >= 0.5, mean, 0.0).to(torch.int32)


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


def rgb_to_float(rgb: Tensor) -> Tensor:
    """(B, H, W, 3) u8 → (B, 3, H, W) float32 in [0, 1], channels last in memory."""
    return rgb.permute(0, 3, 1, 2).float().mul_(1 / RGB_MAX)


def depth_to_float(depth: Tensor) -> Tensor:
    """Stored depth (B, H, W) i32 → (B, 1, H, W) float32 in [0, 1]; 0 is no data, and larger is farther behind the
    sample's own nearest point (1 = the nearest; the metric offset of the sample is not in it).
    """
    return depth[:, None].float().mul_(1 / DEPTH_MAX)


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
