"""One training shared by the processes of ``torchrun``: who takes which part of a batch, and how it is put together.

An optimiser step sees the same samples in the same micro-batches however many processes there are. Process r of w takes
micro-batches r, r + w, …; gradients, class centers, losses and the running statistics of batch normalisation come out
as if one process had done them all, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, final

import torch
from torch import Tensor, distributed, nn

from fer_prep.errors import UsageError
from fer_train.training.machine import Machine

BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""What keeps running statistics; timm's are among them by inheritance."""


class Part(NamedTuple):
    """A micro-batch of an optimiser step."""

    number: int
    """Its place among the micro-batches of the step."""
    rows: Tensor
    """(b,) int64."""
    weight: float
    """Its share of the step's samples."""


def own_parts(micro_batches: Sequence[Tensor], machine: Machine) -> list[Part]:
    """Those that this process passes through the network; none where there are more processes than micro-batches."""
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


@final
class SharedBatchStatistics:
    """Running means and variances of batch normalisation, as if one process had seen all micro-batches in their order.

    Synchronised batch normalisation would be another network: it normalises by the whole batch, where one process
    normalises by micro-batches. After n of them with statistics sᵢ and momentum m, one process has
    r = (1 − m)ⁿ r₀ + Σᵢ m (1 − m)ⁿ⁻¹⁻ⁱ sᵢ: each process finds its own terms of the sum, from running values that it
    sets to 0 before every micro-batch, and the sums are added up at the end of the step.
    """

    def __init__(self, network: nn.Module, machine: Machine) -> None:
        self._machine = machine
        norms = [each for each in network.modules() if isinstance(each, BATCH_NORMS)] if machine.world > 1 else []
        if any(norm.momentum is None for norm in norms):
            raise UsageError(
                "this backbone averages its batch statistics over all steps, which several processes cannot share",
                hint="train it in one process",
            )
        self._running = [
            (value, norm.momentum or 0.0)
            for norm in norms
            for value in (norm.running_mean, norm.running_var)
            if value is not None
        ]
        self._counters = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
        self._total: list[Tensor] = []

    def begin(self, count: int) -> None:
        """Before a step of ``count`` micro-batches."""
        self._count = count
        self._before = [value * (1 - momentum) ** count for value, momentum in self._running]
        self._seen = [counter + count for counter in self._counters]
        self._total = [torch.zeros_like(value) for value, _ in self._running]
        for value, _ in self._running:
            value.zero_()

    def after(self, part: Part) -> None:
        """After the forward pass over one of them."""
        for total, (value, momentum) in zip(self._total, self._running, strict=True):
            total.add_(value, alpha=(1 - momentum) ** (self._count - 1 - part.number))
            value.zero_()

    def end(self) -> None:
        """After the last one."""
        if not self._running:
            return
        total = summed(torch.cat(self._total), self._machine).split([len(value) for value, _ in self._running])
        for (value, _), before, piece in zip(self._running, self._before, total, strict=True):
            value.copy_(before + piece)
        for counter, seen in zip(self._counters, self._seen, strict=True):
            counter.copy_(seen)
