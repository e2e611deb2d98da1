"""Stored images at another size, on any device: bilinear with antialiasing, holes kept out of every mean."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def resample(images: Tensor, *, size: int, maximum: float, holes: bool) -> Tensor:
    """(B, C, H, W) of an integer type → (B, C, size, size) of the same type, values up to ``maximum``.

    With ``holes``, 0 is no data: each new pixel is the mean of the valid pixels under its kernel, and valid where they
    make up at least half of the kernel. So holes keep their place, no value is mixed with them, nothing is invented.
    """
    if tuple(images.shape[2:]) == (size, size):
        return images
    values = images.float()
    if not holes:
        return _shrink(values, size).round().clamp(0, maximum).to(images.dtype)
    weight = _shrink((images > 0).float(), size)
    mean = (_shrink(values, size) / weight.clamp(min=1e-6)).round().clamp(1, maximum)
    return torch.where(weight >= 0.5, mean, 0.0).to(images.dtype)


def _shrink(planes: Tensor, size: int) -> Tensor:
    return functional.interpolate(planes, size=(size, size), mode="bilinear", antialias=True)
