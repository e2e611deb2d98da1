"""Which samples each optimiser step of a fold takes, and in which micro-batches: known before training begins."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final, final

from torch import Tensor

from fer_prep.errors import UsageError
from fer_train.config import TrainingSettings
from fer_train.data.epoch_order import epoch_order

Rows = Tensor
"""(n,) int64 row numbers of the dataset, where its ``PixelStore`` wants them."""

_OF_BATCH_NORMALISATION: Final = "Expected more than 1 value per channel"
"""How PyTorch's complaint about a single value begins."""


@final
class Steps:
    """Every epoch takes all of ``rows`` once, ``batch_size`` a step; the last step takes what is left.

    What is left is never a single sample where that can be helped: batch normalisation has nothing to compare it with
    (and cannot go on where the feature map is 1 × 1), so the step before leaves it one of its own. The number of steps
    stays ⌈n / batch size⌉.
    """

    def __init__(self, rows: Rows, *, settings: TrainingSettings, seed: int, shard_sizes: Sequence[int] = ()) -> None:
        self._rows, self._count, self._device = rows.cpu(), len(rows), rows.device
        self._batch_size, self._micro_batch_size = settings.batch_size, settings.micro_batch_size
        self._seed, self._shard_sizes = seed, shard_sizes
        self._orders: dict[int, Rows] = {}
        self.per_epoch = math.ceil(len(rows) / self._batch_size)
        self.total = settings.epochs * self.per_epoch

    def samples(self, step: int) -> Rows:
        """The rows of one optimiser step: a slice of the epoch's order, which follows from (seed, epoch) alone."""
        epoch, position = divmod(step, self.per_epoch)
        return self._order(epoch)[self._start(position) : self._start(position + 1)]

    def size(self, step: int) -> int:
        """How many samples those are."""
        position = step % self.per_epoch
        return self._start(position + 1) - self._start(position)

    def micro_batches(self, step: int) -> tuple[Rows, ...]:
        """The samples of a step in equal parts of at most ``micro_batch_size``."""
        return self.samples(step).tensor_split(self.count_micro_batches(step))

    def count_micro_batches(self, step: int) -> int:
        """How many those are."""
        return math.ceil(self.size(step) / self._micro_batch_size)

    def _start(self, position: int) -> int:
        """Where in the epoch's order the step at ``position`` begins; that of ``per_epoch`` is the end."""
        start = min(position * self._batch_size, self._count)
        # of a batch of two, taking one would only leave the single sample to another step
        lone = self._count - start == 1 and position > 0 and self._batch_size > 2
        return start - 1 if lone else start

    def _order(self, epoch: int) -> Rows:
        if epoch not in self._orders:
            if len(self._orders) > 1:  # two are in use where reading ahead has come to the next epoch
                del self._orders[min(self._orders)]
            order = epoch_order(self._rows, seed=self._seed, epoch=epoch, shard_sizes=self._shard_sizes)
            self._orders[epoch] = order.to(self._device)
        return self._orders[epoch]


def validation_positions(steps_per_epoch: int, per_epoch: int) -> frozenset[int]:
    """After which steps of an epoch (1…steps) to validate: evenly spread, the last one always among them.

    >>> sorted(validation_positions(8, 3))
    [3, 5, 8]
    """
    return frozenset(max(1, round(steps_per_epoch * k / per_epoch)) for k in range(1, per_epoch + 1))


@contextmanager
def explaining_lone_samples() -> Generator[None]:
    """Turn what batch normalisation says of a micro-batch of one sample into a UsageError that says what to set."""
    try:
        yield
    except ValueError as error:
        if _OF_BATCH_NORMALISATION not in str(error):
            raise
        raise UsageError(
            "a micro-batch of a single sample cannot be normalised: the backbone's last feature map is one point",
            hint="set training.micro_batch_size and training.batch_size to 3 or more, train on more than one sample, "
            "or use a larger data.image_size",
        ) from error
