"""What a person sees while a fold trains: one live line with loss, accuracy, rate, speed and time left; TensorBoard."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from unittest.mock import patch

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from fer_prep.cli.console import messages, note

ROOM_FOR_A_BAR: Final = 90
"""Columns of a terminal that hold the numbers and a bar."""


@contextmanager
def training_display(
    title: str, *, total_steps: int, batch_size: int
) -> Generator[Callable[[Mapping[str, float]], None]]:
    """Draw a bar on standard error while the block runs; where that is not a terminal, a line an epoch.

    In a narrow terminal the percentage stands for the bar.
    """
    seen = _Seen(batch_size)
    if not messages.is_terminal:
        yield lambda row: _tell_epoch(title, row, seen.describe(row), left=seen.time_left(row["step"], total_steps))
        return
    bar = [BarColumn(bar_width=6)] if messages.width >= ROOM_FOR_A_BAR else []
    columns = (
        TextColumn("{task.description}"),
        *bar,
        TaskProgressColumn(),
        TextColumn("{task.fields[numbers]}"),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=messages) as bars:
        task = bars.add_task(title, total=total_steps, numbers="")
        yield lambda row: bars.update(task, completed=row["step"], numbers=seen.describe(row))


def _tell_epoch(title: str, row: Mapping[str, float], numbers: str, *, left: str) -> None:
    if float(row["epoch"]).is_integer():
        note(f"{title}, epoch {row['epoch']:.0f}: {numbers}{left}")


@contextmanager
def tensorboard_events(folder: Path) -> Generator[Callable[[Mapping[str, float]], None]]:
    """A listener that writes TensorBoard events into ``folder``; steps that are done again replace the old ones.

    Where TensorBoard is not installed it writes none, and that is said.
    """
    if importlib.util.find_spec("tensorboard") is None:
        note("no TensorBoard events: pip install tensorboard")
        yield lambda row: None
        return
    from torch.utils.tensorboard import SummaryWriter

    writers: list[SummaryWriter] = []

    def listen(row: Mapping[str, float]) -> None:
        step = int(row["step"])
        if not writers:
            # the first row says where training goes on: what an interrupted run wrote beyond it is void
            # and the file's name holds no host's
            with patch("socket.gethostname", return_value="run"):
                writers.append(SummaryWriter(str(folder), purge_step=step))
        for name, value in row.items():
            if name not in ("step", "epoch"):
                group, _, rest = name.partition("_")
                writers[0].add_scalar(f"{group}/{rest}", value, step)

    try:
        yield listen
    finally:
        for writer in writers:
            writer.close()


class _Seen:
    """Smooths the numbers of single steps, which jump, into something that can be read in 80 columns."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._loss = self._accuracy = float("nan")
        self._validation = ""
        self._first: tuple[float, float] | None = None

    def describe(self, row: Mapping[str, float]) -> str:
        """``loss 1.23 train 45% val 40% lr 1e-03 120/s``: the learning rate is the fusion's, speed in images."""
        self._loss = _smoothed(self._loss, row["train_loss"])
        self._accuracy = _smoothed(self._accuracy, row["train_accuracy"])
        if "val_overall_accuracy" in row:
            self._validation = f" val {row['val_overall_accuracy']:.0f}%"
        return (
            f"loss {self._loss:.2f} train {self._accuracy:.0f}%{self._validation} "
            f"lr {row['rate_fusion']:.0e}{self._speed(row['step'])}"
        )

    def time_left(self, step: float, total_steps: int) -> str:
        """`` left 0:12:34``, by the speed so far; empty at the first step."""
        if self._first is None or step == self._first[1]:
            return ""
        first_time, first_step = self._first
        seconds = (time.monotonic() - first_time) / (step - first_step) * (total_steps - step)
        return f" left {timedelta(seconds=round(seconds))}"

    def _speed(self, step: float) -> str:
        now = time.monotonic()
        first_time, first_step = self._first = self._first or (now, step)
        if step == first_step or now == first_time:
            return ""
        speed = (step - first_step) * self._batch_size / (now - first_time)
        return f" {speed:.0f}/s" if speed < 10_000 else f" {speed / 1000:.0f}k/s"


def _smoothed(old: float, new: float, *, memory: float = 0.9) -> float:
    return new if old != old else memory * old + (1 - memory) * new
