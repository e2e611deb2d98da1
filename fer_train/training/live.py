"""What a person sees while a fold trains: one live line with loss, accuracy, rate, speed and time left; TensorBoard."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from rich.live import Live

from fer_prep.cli.console import messages, note


@contextmanager
def training_display(
    title: str, *, total_steps: int, batch_size: int
) -> Generator[Callable[[Mapping[str, float]], None]]:
    """Keep a line up to date while the block runs; where standard error is no terminal, write one an epoch."""
    seen = _Seen(batch_size=batch_size, total_steps=total_steps)
    if not messages.is_terminal:

        def tell(row: Mapping[str, float]) -> None:
            words = seen.describe(row)
            if float(row["epoch"]).is_integer():
                note(f"{title}, epoch {row['epoch']:.0f}: {words}")

        yield tell
        return
    with Live(console=messages, transient=True) as line:
        yield lambda row: line.update(f"{title} {row['step'] / total_steps:.0%} {seen.describe(row)}")


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


@dataclass(kw_only=True)
class _Seen:
    """Smooths the numbers of single steps, which jump, into something that can be read in 80 columns."""

    batch_size: int
    total_steps: int
    loss: float = float("nan")
    accuracy: float = float("nan")
    validation: str = ""
    first: tuple[float, float] | None = None
    """Time and number of the first step that was seen."""

    def describe(self, row: Mapping[str, float]) -> str:
        """``loss 1.23 train 45% val 40% lr 1e-03 120/s left 12:34``: the learning rate is the fusion's, speed in
        images; both it and the time left are by the speed so far, and there are none at the first step.
        """
        self.loss = _smoothed(self.loss, row["train_loss"])
        self.accuracy = _smoothed(self.accuracy, row["train_accuracy"])
        if "val_overall_accuracy" in row:
            self.validation = f" val {row['val_overall_accuracy']:.0f}%"
        words = f"loss {self.loss:.2f} train {self.accuracy:.0f}%{self.validation} lr {row['rate_fusion']:.0e}"
        now, step = time.monotonic(), row["step"]
        first_time, first_step = self.first = self.first or (now, step)
        if step == first_step or now == first_time:
            return words
        steps_a_second = (step - first_step) / (now - first_time)
        speed = self.batch_size * steps_a_second
        left = str(timedelta(seconds=round((self.total_steps - step) / steps_a_second))).removeprefix("0:")
        return f"{words} {f'{speed:.0f}' if speed < 10_000 else f'{speed / 1000:.0f}k'}/s left {left}"


def _smoothed(old: float, new: float, *, memory: float = 0.9) -> float:
    return new if old != old else memory * old + (1 - memory) * new
