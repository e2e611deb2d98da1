"""Running statistics of batch normalisation that several processes gather together."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, final

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from fer_prep.errors import UsageError
from fer_train.training.processes import Part

BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""What keeps running statistics; timm's are among them by inheritance."""


@final
class SharedBatchStatistics:
    """Running means and variances over the micro-batches of all processes, as if one had seen them in their order.

    One process moves them by r ← (1 − m) r + m s for each micro-batch with statistic s, so after n micro-batches
    r = (1 − m)ⁿ r₀ + Σᵢ m (1 − m)ⁿ⁻¹⁻ⁱ sᵢ. Each process starts a step at 0 and lets its sum fade where others have
    their turn; the sums are then added up. Synchronised batch normalisation would be another network: it normalises
    by the whole batch, where one process normalises by micro-batches.
    """

    def __init__(self, network: nn.Module, fabric: Fabric) -> None:
        norms = [module for module in network.modules() if isinstance(module, BATCH_NORMS)]
        self._fabric = fabric
        self._norms = [module for module in norms if module.running_mean is not None]
        if fabric.world_size > 1 and any(module.momentum is None for module in self._norms):
            raise UsageError(
                "this backbone averages its batch statistics over all steps, which several processes cannot share",
                hint="train it in one process",
            )

    def of_step(self, parts: Sequence[Part], *, count: int) -> AbstractContextManager[Fading | None]:
        """A step of ``count`` micro-batches: inside, call ``after`` of what is yielded once a part has gone through.

        In a single process there is nothing to do, and None is yielded.
        """
        if self._fabric.world_size == 1 or not self._norms:
            return nullcontext()
        return self._gathering(parts, count=count)

    @contextmanager
    def _gathering(self, parts: Sequence[Part], *, count: int) -> Generator[Fading]:
        running = self._running()
        before = torch.cat([value.flatten() * (1 - momentum) ** count for value, momentum in running])
        seen_before = [tracked.clone() for tracked in self._counters()]
        for value, _ in running:
            value.zero_()
        yield Fading(running, parts=parts, count=count)
        own = torch.cat([value.flatten() for value, _ in running])
        summed: Any = self._fabric.all_reduce(own, reduce_op="sum")
        pieces = (summed + before).split([value.numel() for value, _ in running])
        for (value, _), piece in zip(running, pieces, strict=True):
            value.copy_(piece.view_as(value))
        for tracked, seen in zip(self._counters(), seen_before, strict=True):
            tracked.copy_(seen + count)

    def _running(self) -> list[tuple[Tensor, float]]:
        """Every running mean and variance with its momentum."""
        return [
            (value, module.momentum or 0.0)
            for module in self._norms
            for value in (module.running_mean, module.running_var)
            if value is not None
        ]

    def _counters(self) -> list[Tensor]:
        counters = (module.num_batches_tracked for module in self._norms)
        return [tracked for tracked in counters if tracked is not None]


@final
class Fading:
    """Lets the running sums fade for the micro-batches that other processes have between this one's."""

    def __init__(self, running: list[tuple[Tensor, float]], *, parts: Sequence[Part], count: int) -> None:
        self._running, self._count = running, count
        self._numbers = [part.number for part in parts]

    def after(self, part: Part) -> None:
        """Call after the forward pass over ``part``; a part without weight leaves nothing."""
        later = [number for number in self._numbers if number > part.number]
        others = (later[0] if later else self._count) - part.number - 1
        for value, momentum in self._running:
            value.mul_((1 - momentum) ** others if part.weight else 0.0)
