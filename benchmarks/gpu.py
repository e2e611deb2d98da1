"""What training costs on a GPU, each part with a limit of its own, all of it within ten minutes: one table.

Called by ``gpu.sh``. A part that does not fit into its time is named in the table, and the others go on.
Goals: the training loop at 97 % of its ceiling, and five folds of the thesis in under five minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError
from fer_train.library import load_model

BUDGET_S = 600
THESIS_FOLD = 8716
"""Training samples of one of the thesis's five folds."""
PREDICTED = 2048

Table = list[tuple[str, str]]


class Measurement:
    """The parts, in order; ``table`` grows by their lines."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.data = options.work / "random.h5"
        self.run = options.work / "run"
        self.end = time.monotonic() + options.budget
        self.table: Table = []

    def program(self, *words: str, limit_s: float) -> str:
        """Run a Python module within its limit and what is left of the budget; its standard output."""
        limit_s = max(min(limit_s, self.end - time.monotonic()), 1)
        command = [sys.executable, "-m", *words]
        print("$", " ".join(command[1:]), flush=True)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                printed, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its worker processes too
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return printed

    def make_data(self) -> None:
        """A file of the thesis's size."""
        size = ("--samples", str(self.options.samples), "--size", str(self.options.size))
        began = time.monotonic()
        self.program("benchmarks.random_dataset", "--out", str(self.data), *size, limit_s=150)
        self.table.append(("a file of random pixels", f"{self.data.stat().st_size / 1e9:.1f} GB in {since(began)}"))

    def bench(self, name: str, *options: str, limit_s: float) -> None:
        """The loops of ``fer-train bench``."""
        words = ["fer_train", "bench", "--data", str(self.data), "--preset", self.options.preset, "--json"]
        words += ["--rounds", "3", "--seconds", str(self.options.seconds)]
        found: dict[str, Any] = json.loads(self.program(*words, *options, limit_s=limit_s))
        ceiling = found["ceiling_images_per_second"]
        for loop in ("ceiling", "loop", "streaming", "plain"):
            if not (rate := found.get(f"{loop}_images_per_second")):
                continue
            share = 100 * found.get(f"{loop}_share_of_ceiling", rate / ceiling)
            self.table.append((f"{name}, {loop}", f"{rate:,.0f} images/s, {share:.1f} % of the ceiling"))
        self.table.append((f"{name}, validation", f"{found['validation_images_per_second']:,.0f} images/s"))
        self.table.append((f"{name}, peak memory", f"{found['peak_memory_bytes'] / 1e9:.1f} GB ({found['precision']})"))

    def fit(self) -> None:
        """One whole fold, from the command to its report."""
        words = ["fer_train", "fit", "--data", str(self.data), "--preset", self.options.preset, "--fold", "0"]
        words += ["--epochs", str(self.options.epochs), "--out", str(self.run)]
        began = time.monotonic()
        self.program(*words, limit_s=300)
        seconds = time.monotonic() - began
        fold = json.loads((self.run / "folds.json").read_text())["folds"][0]
        trained, judged = len(fold["train"]), len(fold["val"])
        self.table.append(
            (f"one fold, {self.options.epochs} epochs", f"{seconds:.0f} s ({trained} and {judged} samples)")
        )
        five = 5 * seconds * THESIS_FOLD / trained
        self.table.append(
            ("five folds of the thesis, from this one", f"{five / 60:.1f} minutes; goal 5: {verdict(five <= 300)}")
        )

    def predict(self) -> None:
        """The trained fold on pictures in memory, as another program would use it."""
        model = load_model(self.run)
        with DatasetFile.open(self.data) as data:
            rows = list(range(min(PREDICTED, data.n)))
            rgb, depth = data.read("rgb", rows), data.read("depth", rows)
        model.probabilities(rgb, depth)  # warm
        began = time.monotonic()
        model.probabilities(rgb, depth)
        self.table.append(("predictions", f"{len(rows) / (time.monotonic() - began):,.0f} a second"))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part that fails is a line of the table."""
        try:
            yield
        except (subprocess.SubprocessError, OSError, FerError) as error:
            self.table.append((name, f"not measured: {type(error).__name__}"))


def since(began: float) -> str:
    """Seconds since then."""
    return f"{time.monotonic() - began:.0f} s"


def verdict(reached: bool) -> str:
    """In one word."""
    return "reached" if reached else "missed"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for 4 GB")
    parser.add_argument("--preset", default="thesis")
    parser.add_argument("--samples", type=int, default=10_895)
    parser.add_argument("--size", type=int, default=260)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one loop in a round of the benchmark")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds for everything")
    options = parser.parse_args()
    began = time.monotonic()
    measured = Measurement(options)
    measured.make_data()
    with measured.part("bf16"):
        measured.bench("bf16", "--set", "machine.precision=bf16-mixed", limit_s=120)
    with measured.part("one fold"):
        measured.fit()
    with measured.part("predictions"):
        measured.predict()
    with measured.part("fp16"):
        measured.bench("fp16", "--no-plain", "--set", "machine.precision=16-mixed", limit_s=90)
    with measured.part("torch.compile"):
        measured.bench("torch.compile", "--no-plain", "--set", "machine.compile=true", limit_s=240)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} processors"
    print(f"\n{device}, PyTorch {torch.__version__}, preset {options.preset}, {since(began)} in all")
    width = max(len(name) for name, _ in measured.table)
    for name, value in measured.table:
        print(f"{name:{width}}  {value}")


if __name__ == "__main__":
    main()
