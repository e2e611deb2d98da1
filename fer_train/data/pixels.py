"""Stored integers to what the network looks at: other sizes, equalised luma, floats; batched, on any device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

RGB_MAX: Final = 255.0
DEPTH_MAX: Final = 65535.0

_NUMBERS_IN_CACHE: Final = 2**20
"""How many are resized at once on a CPU, 15 pictures of depth at 260²; 64 at once take twice as long each."""

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
    resized = rgb.new_empty(len(rgb), size, size, 3)
    for some, its_place in _in_pieces(rgb, resized):
        # columns and channels are alike while the height shrinks: most of the work runs along memory as it is
        lines = some.float().flatten(2)[:, None]  # (b, 1, H, 3 W)
        fewer = _interpolate(lines, height=size, width=lines.shape[3]).reshape(len(some), size, -1, 3)
        planes = _interpolate(fewer.permute(0, 3, 1, 2), height=size, width=size)
        its_place.copy_(planes.round_().clamp_(0, RGB_MAX).permute(0, 2, 3, 1))
    return resized


def resize_depth(depth: Tensor, *, size: int) -> Tensor:
    """Stored depth (B, H, W) i32 → (B, size, size) i32, averaging only what was measured.

    Each new pixel is the mean of the valid pixels under its kernel; it is valid where they make up at least half of
    the kernel. So holes keep their place, no value is mixed with the 0 of *no data*, and nothing is invented.
    """
    if tuple(depth.shape[1:]) == (size, size):
        return depth
    resized = depth.new_empty(len(depth), size, size)
    for some, its_place in _in_pieces(depth, resized):
        both = torch.empty(2, *some.shape, device=depth.device)  # what was measured, and 1 where it was
        torch.sign(both[0].copy_(some), out=both[1])
        total, weight = _interpolate(both, height=size, width=size)
        mean = (total / weight.clamp(min=1e-6)).round_().clamp_(1, DEPTH_MAX)
        its_place.copy_(torch.where(weight >= 0.5, mean, 0.0))
    return resized


def _in_pieces(source: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(B, H, W, …) and (B, …) cut alike: a CPU keeps the floats of a piece in its cache, a GPU takes all at once."""
    fitting = _NUMBERS_IN_CACHE // math.prod(source.shape[1:]) if source.device.type == "cpu" else len(source)
    count = max(1, fitting)
    return zip(source.split(count), target.split(count), strict=True)


def _interpolate(planes: Tensor, *, height: int, width: int) -> Tensor:
    """(B, C, H, W) float32 → (B, C, height, width), bilinear with antialiasing."""
    return functional.interpolate(planes, size=(height, width), mode="bilinear", antialias=True)


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
