"""How fast this machine trains, against the most it could: four loops over the same network, in turns, in one run.

(a) one batch that lies ready on the device: forward, backward, step, and nothing else: the ceiling for this network;
(b) the real loop with the pixels in memory; (c) the real loop with the pixels streamed; (d) ``plain_loop``: PNG files,
DataLoader workers and transforms of single samples, as earlier work has it. Each round times all four, so that a busy
machine slows all of them; a rate is the median over the rounds. (a) and (b), which lie closest together, take turns of
a quarter of a second or more within a round: the speed of a shared machine changes by tenths within a second. The share
of (b) is the median over all pairs of such turns; a turn of (b) ends only where all that was made in it has been used,
and that of (a) has as many images: in a longer turn the machine is more often disturbed. (c) and (d) read ahead in
other processes, which would go on while others have their turn, so each has its time in one piece, and its share is the
median over the rounds. Validation is timed apart.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from lightning_fabric import Fabric

from fer_prep.errors import UsageError
from fer_train.bench.peak_memory import peak_memory_bytes, reset_peak_memory
from fer_train.bench.plain_loop import PlainLoop
from fer_train.config import Config
from fer_train.data.pixel_store import PixelStore
from fer_train.data.resident import ResidentData
from fer_train.data.streaming import StreamingData
from fer_train.environment import choose_precision, describe_device
from fer_train.training.fold import prepare_training
from fer_train.training.loop import FoldRows, FoldTraining
from fer_train.training.machine import make_fabric, set_up_machine

THESIS_SAMPLES: Final = 8716
THESIS_FOLDS: Final = 5
_MOST_SAMPLES: Final = 2048
"""More of a dataset is not taken: (d) has to write all of it as PNG files first."""
_TURN_SECONDS: Final = 0.25
_SETTLE_SECONDS: Final = 0.5
"""Between two loops: the readers of the one before may still be filling their queues, which would slow the next one."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One loop: images a second in every round, seconds of its first step, and the process's most memory in bytes."""

    name: str
    rates: tuple[float, ...]
    shares: tuple[float, ...]
    """Of the ceiling, each time the two were measured right after one another."""
    warm_up_seconds: float
    peak_memory_bytes: int

    @property
    def images_per_second(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rates)

    @property
    def share_of_ceiling(self) -> float:
        """The median of ``shares``, a fraction of 1."""
        return statistics.median(self.shares)

    @property
    def share_quartiles(self) -> tuple[float, float]:
        """Between these lies the middle half of ``shares``: how much the machine's speed went up and down."""
        if len(self.shares) == 1:
            return self.shares[0], self.shares[0]
        low, _, high = statistics.quantiles(self.shares, n=4, method="inclusive")
        return low, high


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """The four loops, and the rate of validation."""

    device: str
    preset: str
    config: Config
    samples: int
    precision: str
    ceiling: Measured
    loop: Measured
    streaming: Measured
    plain: Measured
    validation_images_per_second: float

    @property
    def thesis_run_seconds(self) -> float:
        """Five folds of the thesis's data with these settings, training and validation, by the rates of (b)."""
        training = self.config.training
        seen = training.epochs * THESIS_SAMPLES * (THESIS_FOLDS - 1)
        judged = training.epochs * training.validations_per_epoch * THESIS_SAMPLES
        return seen / self.loop.images_per_second + judged / self.validation_images_per_second

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; shares are fractions of 1."""
        return {
            "device": self.device,
            "preset": self.preset,
            "ceiling_images_per_second": self.ceiling.images_per_second,
            "loop_images_per_second": self.loop.images_per_second,
            "streaming_images_per_second": self.streaming.images_per_second,
            "plain_images_per_second": self.plain.images_per_second,
            "loop_share_of_ceiling": self.loop.share_of_ceiling,
            "streaming_share_of_ceiling": self.streaming.share_of_ceiling,
            "loop_share_quartiles": self.loop.share_quartiles,
            "streaming_share_quartiles": self.streaming.share_quartiles,
            "peak_memory_bytes": max(m.peak_memory_bytes for m in self.measured),
            "validation_images_per_second": self.validation_images_per_second,
            "thesis_run_seconds": self.thesis_run_seconds,
            "image_size": self.config.data.image_size,
            "batch_size": self.config.training.batch_size,
            "micro_batch_size": self.config.training.micro_batch_size,
            "precision": self.precision,
            "compiled": self.config.machine.compile,
            "samples": self.samples,
            "rounds": len(self.ceiling.rates),
            "warm_up_seconds": {m.name: m.warm_up_seconds for m in self.measured},
        }

    @property
    def measured(self) -> tuple[Measured, ...]:
        """(a) to (d)."""
        return self.ceiling, self.loop, self.streaming, self.plain


def bench(
    data_path: Path, *, config: Config, rounds: int, seconds: float, say: Callable[[str], None] = lambda text: None
) -> BenchResult:
    """Time the loops in ``rounds`` rounds of about ``seconds`` for each loop."""
    device = set_up_machine(config.machine)
    fabric = make_fabric(device, config.machine)
    with ExitStack() as ending, tempfile.TemporaryDirectory(prefix="fer-bench-") as folder:
        size, equalise = config.data.image_size, config.data.equalise_luma
        resident = ResidentData.load(data_path, device=device, image_size=size, equalise=equalise)
        workers = max(1, config.machine.reading_workers)
        streamed = StreamingData.open(data_path, device=device, image_size=size, equalise=equalise, workers=workers)
        ending.callback(streamed.close)
        rows = _whole_batches(len(resident), batch_size=config.training.batch_size, path=data_path)
        loops: list[_Loop] = []
        trainings: dict[str, FoldTraining] = {}
        for name, data in (("b loop", resident), ("c streaming", streamed)):
            training = _training(data, rows, config=config, fabric=fabric, folder=Path(folder) / name)
            training.begin()
            trainings[name] = training
            loops.append(_loop_of(name, training))
        loops.insert(0, _Loop("a ceiling", _ceiling(trainings["b loop"], rows, config=config, fabric=fabric)))
        say("writing the samples as PNG files for the plain loop")
        plain = PlainLoop(resident, rows, config=config, device=device, folder=Path(folder) / "png")
        ending.callback(plain.close)
        loops.append(_Loop("d plain", plain.step))
        found = list(_measure(loops, rounds=rounds, seconds=seconds, device=device, say=say))
        judged = _validation_rate(trainings["b loop"], device)
    return BenchResult(
        device=describe_device(device).get("name", device.type),
        preset=config.name,
        config=config,
        samples=len(rows),
        precision=choose_precision(config.machine.precision, device),
        ceiling=found[0],
        loop=found[1],
        streaming=found[2],
        plain=found[3],
        validation_images_per_second=judged,
    )


def _whole_batches(samples: int, *, batch_size: int, path: Path) -> torch.Tensor:
    """Row numbers of whole batches: the ceiling has no smaller one, as the loop has at the end of an epoch.

    In the thesis's folds that is one step of 55; in a small dataset for trying it would be one of a few.
    """
    if samples < 2 * batch_size:
        raise UsageError(f"expected at least two batches of {batch_size}; found {samples} samples", path=path)
    return torch.arange(min(samples // batch_size, max(2, _MOST_SAMPLES // batch_size)) * batch_size)


def _training(data: PixelStore, rows: torch.Tensor, *, config: Config, fabric: Fabric, folder: Path) -> FoldTraining:
    """The real loop with so many epochs that it does not end, without validation, which is timed apart."""
    settings = replace(config.training, epochs=10_000, validations_per_epoch=1, inner_split=0.0, early_stop=0)
    here = rows.to(data.row_device)
    training = prepare_training(
        FoldRows(train=here, val=here[: config.machine.validation_batch_size]),
        data=data,
        config=replace(config, training=settings),
        fabric=fabric,
        seed=settings.seed,
        checkpoint=folder / "last.ckpt",
    )
    training.validation_positions = frozenset()
    return training


def _loop_of(name: str, training: FoldTraining) -> _Loop:
    def step() -> int:
        training.advance()
        return training.settings.batch_size  # there are whole batches only

    return _Loop(name, step, may_stop=lambda: not training.inputs.lying_ready)


def _ceiling(training: FoldTraining, rows: torch.Tensor, *, config: Config, fabric: Fabric) -> Callable[[], int]:
    """A plain step over one micro-batch that lies on the device, as often as the real step has micro-batches."""
    parts = math.ceil(config.training.batch_size / config.training.micro_batch_size)
    size = math.ceil(config.training.batch_size / parts)
    batch = training.batches.training(rows[:size].to(training.rows.train.device), epoch=0)

    def step() -> int:
        for _ in range(parts):
            output = training.forward(batch.rgb, batch.depth)
            fabric.backward(training.state.loss(output.logits, output.features, batch.labels) / parts)
        if config.optimiser.clip_norm:
            fabric.clip_gradients(
                training.forward, training.optimiser, max_norm=config.optimiser.clip_norm, error_if_nonfinite=False
            )
        training.optimiser.step()
        training.optimiser.zero_grad()
        return parts * size

    return step


class _Loop(NamedTuple):
    """One of the four, to be run step by step."""

    name: str
    step: Callable[[], int]
    """Takes one step, and says how many images it had."""
    may_stop: Callable[[], bool] = lambda: True
    """Whether a turn may end here: False while things lie ready that the turn has made for later steps."""


def _measure(
    loops: Sequence[_Loop], *, rounds: int, seconds: float, device: torch.device, say: Callable[[str], None]
) -> Iterator[Measured]:
    """The ceiling comes first in ``loops``, then the one that takes turns with it."""
    warm_up: dict[str, float] = {}
    rates: dict[str, list[float]] = {loop.name: [] for loop in loops}
    shares: dict[str, list[float]] = {loop.name: [] for loop in loops}
    peaks = dict.fromkeys(rates, 0)

    def turn(loop: _Loop, *, seconds: float = 0.0, images: int = 0) -> tuple[int, float]:
        reset_peak_memory(device)
        done = _one_turn(loop, seconds=seconds, images=images, device=device)
        peaks[loop.name] = max(peaks[loop.name], peak_memory_bytes(device))
        return done

    warm_up_images: dict[str, int] = {}
    for loop in loops:
        say(f"warming up {loop.name[2:]}")
        start = time.perf_counter()
        images = loop.step()
        _finish(device)
        warm_up[loop.name] = time.perf_counter() - start
        # to where it may stop: what lay ready would be a gift to the first turn
        warm_up_images[loop.name] = images + turn(loop)[0]
    ceiling, beside, *others = loops
    images_a_turn = warm_up_images[beside.name]
    turns = max(1, round(seconds / _TURN_SECONDS))
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        time.sleep(_SETTLE_SECONDS)
        totals = {loop.name: [0, 0.0] for loop in (ceiling, beside)}
        for pair in range(turns):
            rate: dict[str, float] = {}
            for loop in (ceiling, beside)[:: -1 if pair % 2 else 1]:
                if loop is beside:
                    images, spent = turn(loop, seconds=seconds / turns)
                    images_a_turn = images
                else:
                    images, spent = turn(loop, images=images_a_turn)
                rate[loop.name] = images / spent
                totals[loop.name][0] += images
                totals[loop.name][1] += spent
            shares[ceiling.name].append(1.0)
            shares[beside.name].append(rate[beside.name] / rate[ceiling.name])
        for loop in others:
            time.sleep(_SETTLE_SECONDS)
            totals[loop.name] = list(turn(loop, seconds=seconds))
        for name, (images, spent) in totals.items():
            rates[name].append(images / spent)
        for loop in others:
            shares[loop.name].append(rates[loop.name][-1] / rates[ceiling.name][-1])
    for name in rates:
        yield Measured(
            name=name,
            rates=tuple(rates[name]),
            shares=tuple(shares[name]),
            warm_up_seconds=warm_up[name],
            peak_memory_bytes=peaks[name],
        )


def _one_turn(loop: _Loop, *, seconds: float, images: int, device: torch.device) -> tuple[int, float]:
    """At least one step, ``seconds`` and ``images``, and on to where it may stop: images done, and how long it took."""
    _finish(device)
    start, done = time.perf_counter(), 0
    while done < max(images, 1) or time.perf_counter() - start < seconds or not loop.may_stop():
        done += loop.step()
    _finish(device)
    return done, time.perf_counter() - start


def _validation_rate(training: FoldTraining, device: torch.device) -> float:
    """Images a second of judging a validation fold, after one pass to warm up."""
    rows = training.rows.train
    training.outputs(rows)
    _finish(device)
    start = time.perf_counter()
    training.outputs(rows)
    _finish(device)
    return len(rows) / (time.perf_counter() - start)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
