"""One training shared by the processes of ``torchrun``: who takes which part of a batch, and how it is put together.

An optimiser step sees the same samples in the same micro-batches however many processes there are. Process r of w takes
micro-batches r, r + w, …; gradients, class centers, losses and the running statistics of batch normalisation come out
as if one process had done them all, but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor


def launched_by_torchrun() -> bool:
    """True in a process that ``torchrun`` has started."""
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def is_first_process() -> bool:
    """True in the process that writes files and talks: the only one, or rank 0 of torchrun."""
    return not launched_by_torchrun() or os.environ["RANK"] == "0"


class Part(NamedTuple):
    """What one process does with one micro-batch of a step."""

    number: int
    """Its place among the micro-batches of the step."""
    rows: Tensor
    """(b,) int64."""
    weight: float
    """Its share of the mean over the step's samples; 0 where the process only joins in so that nobody waits for it."""

    def counted(self, values: Tensor) -> Tensor:
        """Of ``values`` (b, …) of its samples those that count: all of them, or none where it has no weight."""
        return values if self.weight else values[:0]


def own_parts(micro_batches: Sequence[Tensor], *, rank: int, world: int) -> list[Part]:
    """The parts of process ``rank``; at least one, because gradients are exchanged during a backward pass."""
    total = sum(len(rows) for rows in micro_batches)
    parts = [
        Part(number, rows, len(rows) / total) for number, rows in enumerate(micro_batches) if number % world == rank
    ]
    return parts or [Part(0, micro_batches[0], 0.0)]


def joined(parts: list[Tensor]) -> Tensor:
    """(b, …) of every part → (B, …); what is whole already is not copied."""
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def share_of_rows(rows: Tensor, fabric: Fabric) -> Tensor:
    """The block of ``rows`` (n,) that this process judges: ⌈n / w⌉ of them, the last block filled up from the front."""
    if fabric.world_size == 1 or not len(rows):
        return rows
    size = -(-len(rows) // fabric.world_size)
    places = torch.arange(size, device=rows.device) + size * fabric.global_rank
    return rows[places % len(rows)]


def gathered(values: Tensor, fabric: Fabric, *, count: int) -> Tensor:
    """The blocks (m, …) of all processes, each of its ``share_of_rows``, as the ``count`` values of all rows."""
    if fabric.world_size == 1:
        return values
    blocks = [torch.empty_like(values) for _ in range(fabric.world_size)]
    torch.distributed.all_gather(blocks, values)
    return torch.cat(blocks)[:count]


def summed(values: Tensor, fabric: Fabric) -> Tensor:
    """``values`` of all processes added up."""
    if fabric.world_size == 1:
        return values  # Fabric takes 0.1 ms to find that out, at every step
    total: Any = fabric.all_reduce(values, reduce_op="sum")
    return total
