"""One training shared by the processes of ``torchrun``: who takes which part of a batch, and how it is put together.

An optimiser step sees the same samples in the same micro-batches however many processes there are. Process r of w takes
micro-batches r, r + w, …; gradients, class centers and losses come out as if one process had done them all, but for
rounding. The running statistics of batch normalisation, by which networks judge, are the mean of the processes' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn

from fer_train.training.machine import Machine


class Part(NamedTuple):
    """A micro-batch of an optimiser step."""

    number: int
    """Its place among the micro-batches of the step."""
    rows: Tensor
    """(b,) int64."""
    weight: float
    """Its share of the step's samples."""


def own_parts(micro_batches: Sequence[Tensor], machine: Machine) -> list[Part]:
    """Those that this process passes through the network; none at the end of an epoch where few are left."""
    total = sum(len(rows) for rows in micro_batches)
    return [
        Part(number, rows, len(rows) / total)
        for number, rows in enumerate(micro_batches)
        if number % machine.world == machine.rank
    ]


def summed(values: Tensor, machine: Machine) -> Tensor:
    """``values`` of all processes added up, in place."""
    if machine.world > 1:
        distributed.all_reduce(values)
    return values


def sum_gradients(parameters: Iterable[nn.Parameter], machine: Machine) -> None:
    """Every process has the gradients of all parts, in one exchange."""
    if machine.world == 1:
        return
    chosen = [parameter for parameter in parameters if parameter.requires_grad]
    flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in chosen])
    for parameter, piece in zip(chosen, summed(flat, machine).split([p.numel() for p in chosen]), strict=True):
        # in the parameter's memory format: PyTorch's fused AdamW walks through both as they lie in memory
        parameter.grad = torch.empty_like(parameter).copy_(piece.view_as(parameter))


def own_share(rows: Tensor, machine: Machine) -> Tensor:
    """The block of ``rows`` (n,) that this process judges: ⌈n / w⌉ of them, the last block filled up from the front."""
    if machine.world == 1 or not len(rows):
        return rows
    size = -(-len(rows) // machine.world)
    return rows[(torch.arange(size) + size * machine.rank) % len(rows)]


def gathered(values: Tensor, machine: Machine, *, count: int) -> Tensor:
    """The blocks (m, …) of all processes, each of its ``own_share``, as the ``count`` values of all rows."""
    if machine.world == 1:
        return values
    blocks = [torch.empty_like(values) for _ in range(machine.world)]
    distributed.all_gather(blocks, values)
    return torch.cat(blocks)[:count]


@torch.no_grad()
def average_buffers(network: nn.Module, machine: Machine) -> None:
    """Every process has the mean of all running statistics of batch normalisation, in one exchange.

    Synchronised batch normalisation would be another network: it normalises by the whole batch, where one process
    normalises by micro-batches.
    """
    if machine.world == 1:
        return
    chosen = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    flat = summed(torch.cat([buffer.flatten() for buffer in chosen]), machine) / machine.world
    for buffer, piece in zip(chosen, flat.split([each.numel() for each in chosen]), strict=True):
        buffer.copy_(piece.view_as(buffer))
