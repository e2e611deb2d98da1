"""How fast this machine trains, against the most it could: four loops over the same network, in turns, in one run.

(a) one batch that lies ready on the device: forward, backward, step, and nothing else: the ceiling for this network;
(b) the real loop with the images in memory; (c) the real loop with the images streamed; (d) a plain PyTorch loop as
earlier work has it: PNG files, workers, transforms of single samples. Every round times all of them, so that a busy
machine slows all; (a) and (b), which lie closest together, take turns of a quarter of a second within a round. A rate
is the median over the rounds, and so is a share of the ceiling. Validation is timed apart.
"""

from __future__ import annotations

import math
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from fer_prep.errors import UsageError
from fer_train.config import Config
from fer_train.data.image_dataset import ImageDataset
from fer_train.environment import describe_device
from fer_train.losses.cross_entropy import CrossEntropyLoss
from fer_train.models.model_file import build_network
from fer_train.settings_file import override
from fer_train.training.fold import open_data, prepare_training
from fer_train.training.loop import FoldRows, FoldTraining
from fer_train.training.machine import Machine, set_up_machine

THESIS_SAMPLES: Final = 8716
THESIS_FOLDS: Final = 5
MOST_SAMPLES: Final = 2048
"""More of a dataset is not taken: (d) has to write all of it as PNG files first."""
TURN_SECONDS: Final = 0.25
PLAIN_WORKERS: Final = 2

Step = Callable[[], int]
"""Takes one optimiser step, and says how many images it had."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One loop: images a second, and their share of the ceiling's, in every round; seconds of its first step."""

    rates: tuple[float, ...]
    shares: tuple[float, ...]
    first_step_seconds: float

    @property
    def images_per_second(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rates)

    @property
    def share_of_ceiling(self) -> float:
        """The median over the rounds, a fraction of 1."""
        return statistics.median(self.shares)


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """The loops ``ceiling``, ``loop``, ``streaming`` and, if wanted, ``plain``, and the rate of validation."""

    device: str
    precision: str
    config: Config
    samples: int
    loops: dict[str, Measured]
    validation_images_per_second: float
    peak_memory_bytes: int

    @property
    def thesis_run_seconds(self) -> float:
        """Five folds of the thesis's data with these settings, training and validation, by the rates of (b)."""
        training = self.config.training
        seen = training.epochs * THESIS_SAMPLES * (THESIS_FOLDS - 1)
        judged = training.epochs * training.validations_per_epoch * THESIS_SAMPLES
        return seen / self.loops["loop"].images_per_second + judged / self.validation_images_per_second

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; shares are fractions of 1."""
        return {
            "device": self.device,
            "preset": self.config.name,
            **{f"{name}_images_per_second": measured.images_per_second for name, measured in self.loops.items()},
            **{f"{name}_share_of_ceiling": measured.share_of_ceiling for name, measured in self.loops.items()},
            "validation_images_per_second": self.validation_images_per_second,
            "thesis_run_seconds": self.thesis_run_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "precision": self.precision,
            "compiled": self.config.machine.compile,
            "image_size": self.config.data.image_size,
            "batch_size": self.config.training.batch_size,
            "micro_batch_size": self.config.training.micro_batch_size,
            "samples": self.samples,
            "rounds": len(self.loops["loop"].rates),
            "first_step_seconds": {name: measured.first_step_seconds for name, measured in self.loops.items()},
        }


def bench(
    data_path: Path,
    *,
    config: Config,
    rounds: int,
    seconds: float,
    plain: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> BenchResult:
    """Time the loops in ``rounds`` rounds of about ``seconds`` for each; ``plain`` says whether (d) is among them."""
    machine = set_up_machine(config.machine)
    with tempfile.TemporaryDirectory(prefix="fer-bench-") as folder, ExitStack() as ending:
        data = open_data(data_path, config=override(config, {"machine.data_memory": "1000T"}), device=machine.device)
        streamed = open_data(data_path, config=override(config, {"machine.data_memory": "0"}), device=machine.device)
        rows = whole_batches(len(data), batch_size=config.training.batch_size, path=data_path)
        training = _training(data, rows, config=config, machine=machine, folder=Path(folder))
        streaming = _training(streamed, rows, config=config, machine=machine, folder=Path(folder))
        loops: dict[str, Step] = {
            "ceiling": _ceiling(training),
            "loop": lambda: _advance(training),
            "streaming": lambda: _advance(streaming),
        }
        if plain:
            say("writing the samples as PNG files for the plain loop")
            plain_loop = PlainLoop(data, rows, config=config, machine=machine, folder=Path(folder) / "png")
            loops["plain"] = plain_loop.step
            ending.callback(plain_loop.close)
        measured = _measure(loops, rounds=rounds, seconds=seconds, device=machine.device, say=say)
        _, warm_up = timed(lambda: _judge(training), machine.device)
        judged, spent = timed(lambda: _judge(training), machine.device)
        streamed.close()
    return BenchResult(
        device=describe_device(machine.device).get("name", machine.device.type),
        precision=machine.precision,
        config=config,
        samples=len(rows),
        loops=measured,
        validation_images_per_second=judged / min(spent, warm_up),
        peak_memory_bytes=peak_memory_bytes(machine.device),
    )


def whole_batches(samples: int, *, batch_size: int, path: Path) -> Tensor:
    """Row numbers of whole batches: the ceiling has no smaller one, as the loop has at the end of an epoch.

    In the thesis's folds that is one step of 55; in a small dataset for trying it would be one of a few.
    """
    if samples < 2 * batch_size:
        raise UsageError(f"expected at least two batches of {batch_size}; found {samples} samples", path=path)
    return torch.arange(min(samples // batch_size, max(2, MOST_SAMPLES // batch_size)) * batch_size)


def peak_memory_bytes(device: torch.device) -> int:
    """On a GPU what PyTorch had allocated there, on a CPU the most memory of this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(step: Step, device: torch.device, *, seconds: float = 0.0) -> tuple[int, float]:
    """At least one step and ``seconds``: images done, and how long it took."""
    _finish(device)
    start, done = time.perf_counter(), step()
    while time.perf_counter() - start < seconds:
        done += step()
    _finish(device)
    return done, time.perf_counter() - start


def _measure(
    loops: dict[str, Step], *, rounds: int, seconds: float, device: torch.device, say: Callable[[str], None]
) -> dict[str, Measured]:
    """Name → what was measured; the first of ``loops`` is the ceiling, and takes turns with the second."""
    first_steps: dict[str, float] = {}
    for name, step in loops.items():
        say(f"warming up: {name}")
        first_steps[name] = timed(step, device)[1]
        timed(step, device)
    ceiling, beside, *others = loops
    turns = max(1, round(seconds / TURN_SECONDS))
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        done = {name: [0.0, 0.0] for name in loops}
        plan = [(name, seconds / turns) for _ in range(turns) for name in (ceiling, beside)]
        # the last two read ahead, which would go on while others have their turn: each has its time in one piece
        for name, length in [*plan, *((name, seconds) for name in others)]:
            images, spent = timed(loops[name], device, seconds=length)
            done[name][0] += images
            done[name][1] += spent
        for name, (images, spent) in done.items():
            rates[name].append(images / spent)
    return {
        name: Measured(
            rates=tuple(found),
            shares=tuple(rate / most for rate, most in zip(found, rates[ceiling], strict=True)),
            first_step_seconds=first_steps[name],
        )
        for name, found in rates.items()
    }


def _training(data: ImageDataset, rows: Tensor, *, config: Config, machine: Machine, folder: Path) -> FoldTraining:
    """The real loop with so many epochs that it does not end, without validation, which is timed apart, and without
    discriminants, which are no part of it.
    """
    settings = replace(config.training, epochs=10_000, validations_per_epoch=1, inner_split=0.0, early_stop=0)
    training = prepare_training(
        FoldRows(train=rows, val=rows),
        data=data,
        config=replace(config, training=settings, model=replace(config.model, with_classical=False)),
        machine=machine,
        seed=settings.seed,
        checkpoint=folder / "last.ckpt",
    )
    training.validation_positions = frozenset()
    training.begin()
    return training


def _advance(training: FoldTraining) -> int:
    training.advance()
    return training.config.training.batch_size  # there are whole batches only


def _judge(training: FoldTraining) -> int:
    return len(training.outputs(training.rows.val)[0])


def _ceiling(training: FoldTraining) -> Step:
    """A plain step over one micro-batch that lies on the device, as often as the real step has micro-batches."""
    settings, state, machine = training.config.training, training.state, training.machine
    parts = math.ceil(settings.batch_size / settings.micro_batch_size)
    size = math.ceil(settings.batch_size / parts)
    batch = next(iter(training.batches.training([(0, training.rows.train[:size])])))

    def step() -> int:
        for _ in range(parts):
            with machine.autocast():
                output = training.forward(batch.inputs)
            state.scaler.scale(state.loss(output.logits, output.features, batch.targets) / parts).backward()
        if training.config.optimiser.clip_norm:
            state.scaler.unscale_(state.optimiser)
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), training.config.optimiser.clip_norm)
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.optimiser.zero_grad()
        return parts * size

    return step


@final
class PlainLoop:
    """A training loop as earlier work has it, to be compared with.

    Its style is the point: every sample is decoded by Pillow and transformed alone in a worker, batches are float32
    from the start, float16 with a loss scaler on a GPU, and the loss is fetched after every step.
    """

    def __init__(self, data: ImageDataset, rows: Tensor, *, config: Config, machine: Machine, folder: Path) -> None:
        self._device, self._cuda = machine.device, machine.device.type == "cuda"
        labels = write_png_files(data, rows, folder)
        self._parts = math.ceil(config.training.batch_size / config.training.micro_batch_size)
        self._loader = DataLoader(
            PngFiles(folder, data.modalities, labels, config=config),
            batch_size=math.ceil(config.training.batch_size / self._parts),
            shuffle=True,
            drop_last=True,
            num_workers=PLAIN_WORKERS,
            persistent_workers=True,
            pin_memory=self._cuda,
            multiprocessing_context="forkserver",
        )
        classes = len(data.classes)
        network = build_network(config.model, classes=classes, image_size=config.data.image_size, pretrained=False)
        self._network = network.to(self._device).train()
        self._loss = CrossEntropyLoss(classes=classes).to(self._device)
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._cuda)
        self._batches = iter(self._loader)

    def step(self) -> int:
        """One optimiser step; returns the number of images in it."""
        images = 0
        for _ in range(self._parts):
            inputs, labels = self._next()
            inputs = {name: image.to(self._device) for name, image in inputs.items()}
            labels = labels.to(self._device)
            with torch.autocast(self._device.type, torch.float16, enabled=self._cuda):
                output = self._network(inputs)
                loss = self._loss(output.logits, output.features, labels) / self._parts
            self._scaler.scale(loss).backward()
            loss.item()
            images += len(labels)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad()
        return images

    def close(self) -> None:
        """End the workers."""
        del self._batches, self._loader

    def _next(self) -> tuple[dict[str, Tensor], Tensor]:
        try:
            return next(self._batches)
        except StopIteration:
            self._batches = iter(self._loader)
            return next(self._batches)


@final
class PngFiles(Dataset[tuple[dict[str, Tensor], int]]):
    """``<modality>/N.png`` → ({modality: (C, S, S)}, label), augmented one by one."""

    def __init__(self, folder: Path, modalities: Sequence[str], labels: Sequence[int], *, config: Config) -> None:
        chosen = config.augmentation
        self._folder, self._modalities, self._labels = folder, modalities, labels
        self._geometry = v2.Compose(
            [
                v2.RandomRotation([-chosen.rotation_degrees, chosen.rotation_degrees]),
                v2.RandomHorizontalFlip(chosen.flip),
            ]
        )
        self._colour = v2.ColorJitter(chosen.brightness, chosen.contrast, chosen.saturation)
        self._erase = v2.RandomErasing(chosen.erase)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], int]:
        images: list[Tensor] = []
        for modality in self._modalities:
            with Image.open(self._folder / modality / f"{index}.png") as picture:
                pixels = np.atleast_3d(np.asarray(picture, np.float32)) / np.iinfo(np.asarray(picture).dtype).max
            images.append(torch.from_numpy(pixels).permute(2, 0, 1))
        moved = self._erase(self._geometry(torch.cat(images))).split([len(image) for image in images])
        return {
            name: (self._colour(image.clamp(0, 1)) - 0.5) / 0.25 if len(image) == 3 else (image - 0.1) / 0.1
            for name, image in zip(self._modalities, moved, strict=True)
        }, self._labels[index]


def write_png_files(data: ImageDataset, rows: Tensor, folder: Path) -> list[int]:
    """Write the samples as PNG files named by their place in ``rows``; return their labels."""
    for modality in data.modalities:
        (folder / modality).mkdir(parents=True)
    for start, images in zip(range(0, len(rows), 64), data.batches(rows.split(64)), strict=True):
        for modality, stack in images.items():
            for number, image in enumerate(stack.permute(0, 2, 3, 1).cpu().numpy()):
                pixels = image if image.shape[2] == 3 else image[..., 0].astype(np.uint16)
                Image.fromarray(pixels).save(folder / modality / f"{start + number}.png", compress_level=1)
    return data.labels[rows].clamp(min=0).tolist()


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
