"""Samples on their way to the network: stored integers, and the floats that are made of them when they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_train.data.pixels import DEPTH_MAX, RGB_MAX, sums_per_sample

_SIGN_BIT = -(1 << 15)
"""Of an i16: flipping it turns the bits of the u16 d into the number d − 2¹⁵."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Pictures of one size, at the size of the network's input."""

    pictures: Tensor
    """(B, 3, S, S) u8, whatever its order in memory."""
    depths: Tensor
    """(B, S, S) i16 that holds the bits of the stored u16, 0 where there is none. Not u16: some devices have no such
    type, and no device knows much arithmetic on it."""

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def planes(self) -> Tensor:
        """(B, 5, S, S) float32: red, green, blue, depth, valid, one after the other, so that one look-up moves all."""
        return to_planes(self.pictures, self.depths)

    @property
    def rgb(self) -> Tensor:
        """(B, 3, S, S) float32 in [0, 1]: a view of ``planes``."""
        return self.planes[:, :3]

    @property
    def depth(self) -> Tensor:
        """(B, 1, S, S) float32 in [0, 1]: stored depth / 65535; 0 is no data, and larger is farther behind the sample's
        own nearest point (1 = the nearest; the metric offset of the sample is not in it). A view of ``planes``.
        """
        return self.planes[:, 3:4]

    @property
    def valid(self) -> Tensor:
        """(B, 1, S, S) float32: 1 where there is depth, else 0. A view of ``planes``."""
        return self.planes[:, 4:]

    def sums(self) -> dict[str, NDArray[np.int64]]:
        """What ``/statistics`` holds, of these pictures: (B, …) each."""
        return sums_per_sample(self.pictures.permute(0, 2, 3, 1), stored_depth(self.depths))


@final
@dataclass(frozen=True, kw_only=True)
class Batch(Pixels):
    """Samples of a dataset."""

    labels: Tensor
    """(B,) int64, dense class index."""
    rows: Tensor
    """(B,) int64, row numbers of the dataset: what random draws are keyed by."""


_P = TypeVar("_P", bound=Pixels)


def to_planes(pictures: Tensor, depths: Tensor) -> Tensor:
    """(B, 3, H, W) u8 and (B, H, W) i16, both as in ``Pixels`` → its ``planes``, in memory of their own."""
    planes = torch.empty(len(depths), 5, *depths.shape[1:], device=depths.device)
    planes[:, :3].copy_(pictures).mul_(1 / RGB_MAX)
    depth = planes[:, 3].copy_(depths ^ _SIGN_BIT).sub_(_SIGN_BIT).mul_(1 / DEPTH_MAX)
    torch.sign(depth, out=planes[:, 4])
    return planes


def stored_depth(bits: Tensor) -> Tensor:
    """The i16 that holds the bits of the stored u16 → i32, any shape."""
    return bits.to(torch.int32) & 0xFFFF


def concatenated(parts: Sequence[_P]) -> _P:
    """The samples of all ``parts``, at least one, one after the other; a single part is not copied."""
    if len(parts) == 1:
        return parts[0]
    kind = type(parts[0])
    return kind(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(kind)})
