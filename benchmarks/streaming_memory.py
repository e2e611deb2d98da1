"""Memory of a training that streams files of several times the memory it is allowed: it must not grow with them.

    python -m benchmarks.streaming_memory --work FOLDER [--limit 64MB] [--sizes 256,1024] [--side 260] [--seconds 20]

Writes files of so many megabytes of pixels (noise, a few people), trains on each with ``--data-memory`` for a while in
a process of its own, and prints the process's most memory beside that on a file which is kept in memory. The files go.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import EMOTIONS
from fer_prep.samples_table import COLUMNS
from fer_train.bench.peak_memory import peak_memory_bytes, reset_peak_memory
from fer_train.data.data_memory import load_data
from fer_train.settings_file import load_preset, override
from fer_train.training.fold import prepare_training
from fer_train.training.loop import FoldRows
from fer_train.training.machine import make_fabric, set_up_machine


def main() -> None:
    """Write, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--limit", default="64MB")
    parser.add_argument("--sizes", default="256,1024", help="megabytes of pixels a file")
    parser.add_argument("--side", type=int, default=260)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        smallest = int(options.sizes.split(",")[0])
        for megabytes, limit in [(smallest, "100GB"), *((int(s), options.limit) for s in options.sizes.split(","))]:
            path = Path(folder) / f"{megabytes}.h5"
            if not path.exists():
                write_noise(path, samples=megabytes * 10**6 // (options.side**2 * 5), side=options.side)
            said, peak_mb, rate, steps = in_process(path, limit, options.seconds)
            print(f"{megabytes:6} MB file: most memory {peak_mb:6.0f} MB, {rate:6.1f} images/s, {steps} steps; {said}")


def write_noise(path: Path, *, samples: int, side: int) -> None:
    """A dataset of noise."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    depth = rng.integers(1, 20_000, (side, side), dtype=np.uint16)
    writer = DatasetWriter(path, n=samples, size=side, classes=EMOTIONS)
    for number in range(samples):
        row: dict[str, Any] = {
            column.name: "" if column.kind == "str" else (1, 1) if column.width == 2 else 1 for column in COLUMNS
        }
        row |= {
            "id": f"noise/{number:07d}",
            "subject": f"noise:{number % 10}",
            "dataset": "noise",
            "label": number % len(EMOTIONS),
            "digest": f"{number:032x}",
        }
        writer.append(measure(row, np.roll(rgb, number, axis=1), np.roll(depth, number, axis=1)))
    writer.finish(settings={})


def in_process(path: Path, limit: str, seconds: float) -> tuple[str, float, float, int]:
    """What was said of the data, most memory in MB, images a second, steps: of a training in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    process = context.Process(target=_train, args=(path, limit, seconds, answers))
    process.start()
    answer = answers.get()
    process.join()
    return answer


def _train(path: Path, limit: str, seconds: float, answers: Any) -> None:
    config = override(load_preset("demo"), {"machine.data_memory": limit, "training.epochs": 1000})
    device = set_up_machine(config.machine)
    size = load_size(path)
    reset_peak_memory(device)
    said: list[str] = []
    data = load_data(path, device=device, machine=config.machine, image_size=size, say=said.append)
    rows = torch.arange(len(data), device=data.row_device)
    with tempfile.TemporaryDirectory() as folder:
        training = prepare_training(
            FoldRows(train=rows, val=rows[:16]),
            data=data,
            config=override(config, {"data.image_size": size}),
            fabric=make_fabric(device, config.machine),
            seed=0,
            checkpoint=Path(folder) / "last.ckpt",
        )
        training.begin()
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            training.advance()
        steps = training.state.step
        rate = steps * config.training.batch_size / (time.perf_counter() - start)
    answers.put((said[0], peak_memory_bytes(device) / 1e6, rate, steps))


def load_size(path: Path) -> int:
    """Side of the pictures: they are streamed as they are stored, so that all bytes of the file are wanted."""
    from fer_prep.dataset.reader import DatasetFile

    with DatasetFile.open(path) as data:
        return data.height


if __name__ == "__main__":
    main()
