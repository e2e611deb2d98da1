"""What goes through the network during training, in its order: known beforehand, read ahead, made several at once.

Small micro-batches cost more in calls than in pixels, so those of several steps are made together and cut apart. Which
ones belong together follows from the position in the epoch alone, also where training goes on in the middle of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple, final

from lightning_fabric import Fabric

from fer_train.data.batches import Batches, NetworkInput
from fer_train.training.processes import Part, joined, own_parts
from fer_train.training.steps import Rows, Steps

PIXELS_MADE_AT_ONCE: Final = 2**20
"""Small micro-batches are made together up to so many pixels, 256 samples of 64²; a larger one is made as a whole."""

_STEPS_REMEMBERED: Final = 128
"""The parts of a step are asked for when its samples are made, and again when it is taken, a few steps later."""


class Stretch(NamedTuple):
    """Micro-batches that are made together; no validation lies between them, and no end of an epoch."""

    parts: list[tuple[int, Part]]
    """(step, micro-batch of this process), in order."""
    validated: bool
    """Whether a validation follows."""

    @property
    def rows(self) -> Rows:
        """Of all its micro-batches."""
        return joined([part.rows for _, part in self.parts])


@final
class Inputs:
    """The micro-batches of one process, one after the other; ``start`` first, then ``next`` for each in order."""

    def __init__(self, steps: Steps, *, batches: Batches, fabric: Fabric, judged: Callable[[], Iterable[Rows]]) -> None:
        self._steps, self._batches, self._fabric, self._judged = steps, batches, fabric, judged
        self._validations: Collection[int] = ()
        self._made: Iterator[NetworkInput] = iter(())
        self._parts: dict[int, list[Part]] = {}
        self.lying_ready = 0
        """How many micro-batches have been made and not been taken."""

    def start(self, step: int, *, validations: Collection[int]) -> None:
        """Begin at ``step``: the samples to come are announced to whoever reads them.

        ``validations``: after which positions of an epoch (from 1) the samples are wanted that ``judged`` yields.
        """
        self._validations = validations
        self._batches.data.announce(self._reads(step))
        self._made = self._make(step)

    def next(self) -> NetworkInput:
        """The micro-batch that comes next."""
        return next(self._made)

    def parts_of(self, step: int) -> list[Part]:
        """The micro-batches of a step that this process passes through the network."""
        if step not in self._parts:
            if len(self._parts) >= _STEPS_REMEMBERED:
                del self._parts[next(iter(self._parts))]  # that was asked for first
            micro_batches = self._steps.micro_batches(step)
            self._parts[step] = own_parts(micro_batches, rank=self._fabric.global_rank, world=self._fabric.world_size)
        return self._parts[step]

    def _make(self, first: int) -> Iterator[NetworkInput]:
        for stretch in self._stretches(first):
            made = self._batches.training(stretch.rows, epoch=stretch.parts[0][0] // self._steps.per_epoch)
            sizes = [len(part.rows) for _, part in stretch.parts]
            pieces = zip(*(each.split(sizes) for each in made), strict=True)
            for number, ((step, _), piece) in enumerate(zip(stretch.parts, pieces, strict=True), start=1):
                self.lying_ready = len(sizes) - number
                if step >= first:
                    yield NetworkInput(*piece)

    def _reads(self, first: int) -> Iterator[Rows]:
        """Every batch of rows that will be asked for, in order."""
        for stretch in self._stretches(first):
            yield stretch.rows
            if stretch.validated:
                yield from self._judged()

    def _stretches(self, first: int) -> Iterator[Stretch]:
        """All that end at ``first`` or later; they are cut as if training had begun with the epoch."""
        per_epoch, most = self._steps.per_epoch, PIXELS_MADE_AT_ONCE // self._batches.data.image_size**2
        parts: list[tuple[int, Part]] = []
        for step in range(first - first % per_epoch, self._steps.total):
            for part in self.parts_of(step):
                if parts and sum(len(other.rows) for _, other in parts) + len(part.rows) > most:
                    if parts[-1][0] >= first:
                        yield Stretch(parts, validated=False)
                    parts = []
                parts.append((step, part))
            validated = step % per_epoch + 1 in self._validations
            if validated or (step + 1) % per_epoch == 0:
                if step >= first:
                    yield Stretch(parts, validated)
                parts = []
