"""What both programs print: results on standard output, everything else on standard error; tables, JSON, progress."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Final, final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fer_prep.errors import FerError

EXIT_DATA_WRONG: Final = 1
EXIT_UNUSABLE: Final = 2
EXIT_INTERRUPTED: Final = 130


@final
class _Terminal(Console):
    """A console that leaves it to ``FerGroup`` what a reader who went away means; rich would exit with 1."""

    said_less = False
    """``--quiet``: neither progress nor notes."""
    said_more = False
    """``--verbose``: progress as lines where there is no terminal."""

    def on_broken_pipe(self) -> None:
        """Called by rich while it handles the BrokenPipeError."""
        raise BrokenPipeError


console: Final = _Terminal(highlight=False)
"""Results: standard output."""
messages: Final = _Terminal(stderr=True, highlight=False)
"""Progress, warnings and errors: standard error, so that output can be piped."""


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """What ``--quiet`` and ``--verbose`` of this run ask for."""
    messages.said_less, messages.said_more = quiet, verbose and not quiet


def note(text: str) -> None:
    """Say what is going on, on standard error; not with ``--quiet``."""
    if not messages.said_less:
        messages.print(escape(text), soft_wrap=True)


def warn(text: str) -> None:
    """Say something the user should know but need not stop for."""
    messages.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)


def report_error(error: FerError) -> None:
    """Print an error as its one or two lines, unwrapped so that paths can be copied."""
    messages.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)


class _RateColumn(ProgressColumn):
    """Steps a second, with the unit of the stage."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "steps")
        return Text(f"{speed:.1f} {unit}/s" if speed else f"– {unit}/s", style="progress.data.speed")


@contextmanager
def progress_bar(description: str, *, total: int, unit: str = "samples") -> Generator[Callable[[int], None]]:
    """A ``fer_prep.progress.Progress`` on standard error: a bar on a terminal, lines elsewhere if ``--verbose``."""
    if messages.said_more and not messages.is_terminal:
        yield _lines(description, total=total, unit=unit)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, disable=not draws_progress()) as bars:
        task = bars.add_task(description, total=total, unit=unit)
        yield lambda steps: bars.advance(task, steps)


def draws_progress() -> bool:
    """True where progress is drawn: on a terminal, without ``--quiet``."""
    return messages.is_terminal and not messages.said_less


def _lines(description: str, *, total: int, unit: str) -> Callable[[int], None]:
    """Progress as a line at every tenth of the way, for logs."""
    done, start = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done
        before, done = done, done + steps
        if total and 10 * before // total != 10 * done // total:
            note(f"{description}: {done} of {total} {unit} after {time.monotonic() - start:.0f} s")

    return advance


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def print_json(content: object) -> None:
    """Print data on standard output as JSON that every reader takes: numbers that are none become null."""
    typer.echo(json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Mappings, sequences, dataclasses, paths and NumPy's numbers as JSON's own types."""
    if is_dataclass(value):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
