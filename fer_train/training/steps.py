"""Which samples each optimiser step of a fold takes, and in which micro-batches: known before training begins."""

from __future__ import annotations

import math
from typing import final

from torch import Tensor

from fer_train.config import TrainingSettings
from fer_train.data.random_draws import epoch_order
from fer_train.training.views import Views


@final
class Steps:
    """Every epoch takes all of ``rows`` (n,) int64 once, ``batch_size`` a step; the last step takes what is left. With
    ``views`` each row stands for a recording, of which the epoch draws one.

    What is left is never a single sample where that can be helped: batch normalisation has nothing to compare it with,
    so the step before leaves it one of its own. The number of steps stays ⌈n / batch size⌉.
    """

    def __init__(self, rows: Tensor, *, settings: TrainingSettings, seed: int, views: Views | None = None) -> None:
        self._rows, self._seed, self._views = rows, seed, views
        self._batch_size, self._micro_batch_size = settings.batch_size, settings.micro_batch_size
        self._orders: dict[int, Tensor] = {}
        self.per_epoch = math.ceil(len(rows) / self._batch_size)
        self.total = settings.epochs * self.per_epoch

    def samples(self, step: int) -> Tensor:
        """The rows of one optimiser step: a slice of the epoch's order, which follows from (seed, epoch) alone."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch not in self._orders:
            # two are in use where reading ahead has come to the next epoch
            self._orders = {number: order for number, order in self._orders.items() if number == epoch - 1}
            order = epoch_order(self._rows, seed=self._seed, epoch=epoch)
            self._orders[epoch] = self._views.drawn(order, seed=self._seed, epoch=epoch) if self._views else order
        return self._orders[epoch][self._start(position) : self._start(position + 1)]

    def micro_batches(self, step: int) -> tuple[Tensor, ...]:
        """The samples of a step in equal parts of at most ``micro_batch_size``."""
        samples = self.samples(step)
        return samples.tensor_split(math.ceil(len(samples) / self._micro_batch_size))

    def _start(self, position: int) -> int:
        """Where in the epoch's order the step at ``position`` begins; that of ``per_epoch`` is the end."""
        count = len(self._rows)
        start = min(position * self._batch_size, count)
        # of a batch of two, taking one would only leave the single sample to another step
        lone = count - start == 1 and position > 0 and self._batch_size > 2
        return start - 1 if lone else start


def validation_positions(steps_per_epoch: int, per_epoch: int) -> frozenset[int]:
    """After which steps of an epoch (1…steps) to validate: evenly spread, the last one always among them.

    >>> sorted(validation_positions(8, 3))
    [3, 5, 8]
    """
    return frozenset(max(1, round(steps_per_epoch * k / per_epoch)) for k in range(1, per_epoch + 1))
