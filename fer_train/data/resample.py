"""The twin of ``fer_prep.resample`` for tensors: other sizes of stored pictures, by the same filter and rule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache, reduce
from typing import Final

import torch
from torch import Tensor

from fer_prep.depth_encoding import UNIT_MM
from fer_prep.resample import Kernel, max_step, taps

_NUMBERS_IN_CACHE: Final = 2**20
"""How many are resized at once on a CPU; several times as many take twice as long each."""


def resize_rgb(rgb: Tensor, *, size: int) -> Tensor:
    """(B, H, W, 3) u8 → (B, size, size, 3) u8."""
    if tuple(rgb.shape[1:3]) == (size, size):
        return rgb
    resized = rgb.new_empty(len(rgb), size, size, 3)
    for some, its_place in _in_pieces(rgb, resized):
        values = some.float()
        for _ in range(2):  # what lies together in memory stays together: columns first, then turned, rows
            values = _mean(values, size, kernel="cubic").transpose(1, 2).contiguous()
        its_place.copy_(values.clamp_(0, 255).round_())
    return resized


def resize_depth(depth: Tensor, *, size: int) -> Tensor:
    """Stored depth (B, H, W) i32, 0 where there is none → (B, size, size) i32."""
    if tuple(depth.shape[1:]) == (size, size):
        return depth
    step = max_step((depth.shape[1], depth.shape[2]), size=size, unit_mm=UNIT_MM)
    resized = depth.new_empty(len(depth), size, size)
    for some, its_place in _in_pieces(depth, resized):
        mean = low = high = hit = torch.where(some > 0, some.float(), math.nan)
        for _ in range(2):
            index, _, its_hit = _taps(low.shape[1], size, "linear", depth.device)
            low = reduce(torch.minimum, [low[:, one] for one in index]).transpose(1, 2).contiguous()
            high = reduce(torch.maximum, [high[:, one] for one in index]).transpose(1, 2).contiguous()
            hit = hit[:, its_hit].transpose(1, 2)
            mean = _mean(mean, size, kernel="linear").transpose(1, 2).contiguous()
        its_place.copy_(torch.where(high - low <= step, mean, hit).nan_to_num_(0).round_())
    return resized


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


def _in_pieces(source: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(B, H, W, …) and (B, …) cut alike: a CPU keeps the floats of a piece in its cache, a GPU takes all at once."""
    count = max(1, _NUMBERS_IN_CACHE // math.prod(source.shape[1:])) if source.device.type == "cpu" else len(source)
    return zip(source.split(max(1, count)), target.split(max(1, count)), strict=True)
