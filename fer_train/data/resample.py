"""The twin of ``fer_prep.resample`` for tensors: other sizes of stored pictures, by the same filter and rule."""

from __future__ import annotations

import math
from functools import lru_cache, reduce

import torch
from torch import Tensor

from fer_prep.depth_encoding import UNIT_MM
from fer_prep.resample import Kernel, max_step, taps


def resize_rgb(rgb: Tensor, *, size: int) -> Tensor:
    """(B, H, W, 3) u8 → (B, size, size, 3) u8."""
    if tuple(rgb.shape[1:3]) == (size, size):
        return rgb
    values = rgb.float()
    for _ in range(2):  # what lies together in memory stays together: columns first, then turned, rows
        values = _mean(values, size, kernel="cubic").transpose(1, 2).contiguous()
    return values.clamp_(0, 255).round_().to(rgb.dtype)


def resize_depth(depth: Tensor, *, size: int) -> Tensor:
    """Stored depth (B, H, W) i32, 0 where there is none → (B, size, size) i32."""
    if tuple(depth.shape[1:]) == (size, size):
        return depth
    step = max_step((depth.shape[1], depth.shape[2]), size=size, unit_mm=UNIT_MM)
    mean = low = high = hit = torch.where(depth > 0, depth.float(), math.nan)
    for _ in range(2):
        index, _, its_hit = _taps(low.shape[1], size, "linear", depth.device)
        low = reduce(torch.minimum, [low[:, one] for one in index]).transpose(1, 2).contiguous()
        high = reduce(torch.maximum, [high[:, one] for one in index]).transpose(1, 2).contiguous()
        hit = hit[:, its_hit].transpose(1, 2)
        mean = _mean(mean, size, kernel="linear").transpose(1, 2).contiguous()
    return torch.where(high - low <= step, mean, hit).nan_to_num_(0).round_().to(depth.dtype)


def _mean(values: Tensor, size: int, *, kernel: Kernel) -> Tensor:
    """(b, H, …) → (b, size, …)."""
    index, weight, _ = _taps(values.shape[1], size, kernel, values.device)
    weight = weight.reshape(*weight.shape, *[1] * (values.ndim - 2))
    total = values[:, index[0]] * weight[0]
    for some, its_weight in zip(index[1:], weight[1:], strict=True):
        total.addcmul_(values[:, some], its_weight)
    return total


@lru_cache(maxsize=64)
def _taps(length: int, size: int, kernel: Kernel, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Index (T, size), weight (T, size) and the pixels hit (size,) on the device."""
    some = taps(length, size, kernel=kernel)
    index, weight, hit = (torch.from_numpy(part).to(device) for part in some)
    return index, weight, hit
