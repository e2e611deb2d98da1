"""How fast this machine trains, against the most it could: four loops over the same network, in turns, in one run.

(a) one batch that lies ready on the device: forward, backward, step, and nothing else: the ceiling for this network;
(b) the real loop with the images in memory; (c) the real loop with the images streamed; (d) a plain PyTorch loop as
earlier work has it: PNG files, workers, transforms of single samples. Every round times all of them, so that a busy
machine slows all. A rate is the median over the rounds, and so is a share of the ceiling. Validation is timed apart.
"""

from __future__ import annotations

import math
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from fer_prep.errors import UsageError
from fer_train.config import Config
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.inputs import PIXEL_MM
from fer_train.data.normalise import FoldNormalisation
from fer_train.environment import describe_device
from fer_train.models.model_file import build_network
from fer_train.settings_file import override
from fer_train.training.fold import open_data, prepare_training
from fer_train.training.loop import FoldRows, FoldTraining
from fer_train.training.machine import Machine, set_up_machine

THESIS_SAMPLES: Final = 8716
THESIS_FOLDS: Final = 5
MOST_SAMPLES: Final = 2048
"""More of a dataset is not taken: (d) has to write all of it as PNG files first."""
PLAIN_WORKERS: Final = 2

Step = Callable[[], int]
"""Takes one optimiser step, and says how many images it had."""


def bench(
    data_path: Path,
    *,
    config: Config,
    rounds: int,
    seconds: float,
    plain: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Time the loops in ``rounds`` rounds of about ``seconds`` for each; ``plain`` says whether (d) is among them.

    Returns, JSON-able, for the loops ``ceiling``, ``loop``, ``streaming`` and ``plain`` their images a second and
    their share of the ceiling, a fraction of 1; what it was measured with; and how long five folds of the thesis's data
    would take with these settings, training and validation, by the rates of (b).
    """
    machine = set_up_machine(config.machine)
    with tempfile.TemporaryDirectory(prefix="fer-bench-") as folder:
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
            loops["plain"] = plain_loop(data, rows, config=config, machine=machine, folder=Path(folder) / "png")
        rates = _measure(loops, rounds=rounds, seconds=seconds, device=machine.device, say=say)
        _judge(training)  # warm
        validation_rate = _rate(lambda: _judge(training), machine.device)
        loops.clear()
        streamed.close()
    median = {name: statistics.median(found) for name, found in rates.items()}
    shares = {name: [rate / most for rate, most in zip(rates[name], rates["ceiling"], strict=True)] for name in rates}
    settings = config.training
    seen = settings.epochs * THESIS_SAMPLES * (THESIS_FOLDS - 1)
    judged = settings.epochs * settings.validations_per_epoch * THESIS_SAMPLES
    return {
        "device": describe_device(machine.device).get("name", machine.device.type),
        "preset": config.name,
        **{f"{name}_images_per_second": rate for name, rate in median.items()},
        **{f"{name}_share_of_ceiling": statistics.median(found) for name, found in shares.items()},
        "validation_images_per_second": validation_rate,
        "thesis_run_seconds": seen / median["loop"] + judged / validation_rate,
        "peak_memory_bytes": peak_memory_bytes(machine.device),
        "precision": machine.precision,
        "compiled": config.machine.compile,
        "image_size": config.data.image_size,
        "batch_size": settings.batch_size,
        "micro_batch_size": settings.micro_batch_size,
        "samples": len(rows),
        "rounds": rounds,
    }


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


def _rate(step: Step, device: torch.device, *, seconds: float = 0.0) -> float:
    """Images a second of at least one step and ``seconds``."""
    _finish(device)
    start, done = time.perf_counter(), step()
    while time.perf_counter() - start < seconds:
        done += step()
    _finish(device)
    return done / (time.perf_counter() - start)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _measure(
    loops: dict[str, Step], *, rounds: int, seconds: float, device: torch.device, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Name → images a second in every round."""
    for name, step in loops.items():
        say(f"warming up: {name}")
        step()
        step()
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, step in loops.items():
            rates[name].append(_rate(step, device, seconds=seconds))
    return rates


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


def plain_loop(data: ImageDataset, rows: Tensor, *, config: Config, machine: Machine, folder: Path) -> Step:
    """A training loop as earlier work has it, to be compared with.

    Its style is the point: every sample is decoded by Pillow and transformed alone in a worker, batches are float32
    from the start, float16 with a loss scaler on a GPU, and the loss is fetched after every step.
    """
    cuda, classes = machine.device.type == "cuda", len(data.classes)
    parts = math.ceil(config.training.batch_size / config.training.micro_batch_size)
    loader = DataLoader(
        PngFiles(folder, data.modalities, write_png_files(data, rows, folder), config=config),
        batch_size=math.ceil(config.training.batch_size / parts),
        shuffle=True,
        drop_last=True,
        num_workers=PLAIN_WORKERS,
        persistent_workers=True,
        pin_memory=cuda,
        multiprocessing_context="forkserver",
    )
    network = build_network(config.model, classes=classes, image_size=config.data.image_size, pretrained=False)
    network.to(machine.device).train()
    normalise = FoldNormalisation.fit(data, rows, inputs=config.model.input_names, settings=asdict(config.data))
    normalise.to(machine.device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    scaler = torch.amp.GradScaler(machine.device.type, enabled=cuda)

    def endless() -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        while True:
            yield from loader

    batches = endless()

    def step() -> int:
        images = 0
        for inputs, labels in (next(batches) for _ in range(parts)):
            with torch.autocast(machine.device.type, torch.float16, enabled=cuda):
                batch = {name: image.to(machine.device) for name, image in inputs.items()}
                # how large a pixel is does not change what a step costs
                batch[PIXEL_MM] = torch.ones(len(labels), 1, 1, 1, device=machine.device)
                output = network(normalise(batch))
                loss = cross_entropy(output.logits, labels.to(machine.device)) / parts
            scaler.scale(loss).backward()
            loss.item()
            images += len(labels)
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad()
        return images

    return step


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
            name: self._colour(image.clamp(0, 1)) if len(image) == 3 else image
            for name, image in zip(self._modalities, moved, strict=True)
        }, self._labels[index]


def write_png_files(data: ImageDataset, rows: Tensor, folder: Path) -> list[int]:
    """Write the samples as PNG files named by their place in ``rows``; return their labels."""
    for modality in data.modalities:
        (folder / modality).mkdir(parents=True)
    for start, images in zip(range(0, len(rows), 64), data.batches(rows.split(64)), strict=True):
        for modality in data.modalities:
            for number, image in enumerate(images[modality].permute(0, 2, 3, 1).cpu().numpy()):
                pixels = image if image.shape[2] == 3 else image[..., 0].astype(np.uint16)
                Image.fromarray(pixels).save(folder / modality / f"{start + number}.png", compress_level=1)
    return data.labels[rows].clamp(min=0).tolist()
