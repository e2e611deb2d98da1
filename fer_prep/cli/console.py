"""What both programs print: results on standard output, everything else on standard error; tables, JSON, progress."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, final

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
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
from rich.table import Table
from rich.text import Text

from fer_prep.errors import FerError

EXIT_DATA_WRONG: Final = 1
EXIT_UNUSABLE: Final = 2
EXIT_INTERRUPTED: Final = 130
_STEERING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that change the direction of writing."""
NO_LIMIT: Final = 10_000
"""Columns for a table that goes into a file or a pipe."""


def visible(text: str) -> str:
    """Text whose control characters are seen: names in data may hold escape sequences, and turn writing around.

    >>> visible("a" + chr(27) + "[31mb")
    'a\\x1b[31mb'
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@final
class _Terminal(Console):
    """A console that leaves it to ``FerGroup`` what a reader who went away means; rich would exit with 1."""

    quiet_run = False
    """``--quiet``: neither progress nor notes."""
    verbose_run = False
    """``--verbose``: progress as lines where there is no terminal."""
    debug_run = False
    """``--debug``: errors keep their traceback."""

    def print(self, *objects: Any, **how: Any) -> None:
        """As rich does, with what would steer the terminal shown instead of obeyed."""
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **how)

    def on_broken_pipe(self) -> None:
        """Called by rich while it handles the BrokenPipeError."""
        raise BrokenPipeError


console: Final = _Terminal(highlight=False)
"""Results: standard output."""
messages: Final = _Terminal(stderr=True, highlight=False)
"""Progress, warnings and errors: standard error, so that output can be piped."""


def say(text: str = "") -> None:
    """Print a line of results as it stands, unwrapped so that paths can be copied."""
    console.print(escape(text), soft_wrap=True)


def note(text: str) -> None:
    """Say what is going on, on standard error; not with ``--quiet``."""
    if not messages.quiet_run:
        messages.print(escape(text), soft_wrap=True)


def warn(text: str) -> None:
    """Say something the user should know but need not stop for."""
    messages.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)


def report_error(error: FerError) -> None:
    """Print an error as its one or two lines, unwrapped so that paths can be copied."""
    messages.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, numbers on the right. In a terminal cells are folded between words, never within one.

    A file or a pipe gets every row on one line; so does a terminal that is too narrow even for the words.
    """
    console.print(Text(visible(title), style="italic"), soft_wrap=True)  # a title in the table would wrap at its width
    table = Table(show_edge=False, pad_edge=False)
    for index, name in enumerate(columns):
        cells = [str(row[index]) for row in rows]
        is_numeric = bool(cells) and all(re.fullmatch(r"[-−]?\d+(\.\d+)?", cell) for cell in cells)
        of_words = not any(" " in text for text in (name, *cells))  # ids and paths: other columns give way
        table.add_column(name, justify="right" if is_numeric else "left", no_wrap=of_words)
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))
    needs = Measurement.get(console, console.options.update(width=NO_LIMIT), table)
    room = console.width if console.is_terminal or "COLUMNS" in os.environ else NO_LIMIT
    table.width = min(needs.maximum, max(room, needs.minimum))
    console.print(table, crop=False)


@final
class _RateColumn(ProgressColumn):
    """Steps a second, with the unit of the stage."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "steps")
        return Text(f"{speed:.1f} {unit}/s" if speed else f"– {unit}/s", style="progress.data.speed")


@contextmanager
def progress_bar(description: str, *, total: int, unit: str = "samples") -> Generator[Callable[[int], None]]:
    """A ``fer_prep.progress.Progress`` on standard error: a bar on a terminal, lines elsewhere if ``--verbose``."""
    if messages.verbose_run and not messages.is_terminal:
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
    return messages.is_terminal and not messages.quiet_run


def _lines(description: str, *, total: int, unit: str) -> Callable[[int], None]:
    """Progress as a line at every tenth of the way, for logs."""
    done, start = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done
        before, done = done, done + steps
        if total and 10 * before // total != 10 * done // total:
            note(f"{description}: {done} of {total} {unit} after {time.monotonic() - start:.0f} s")

    return advance


def print_json(content: object) -> None:
    """Print data on standard output as JSON that every reader takes: numbers that are none become null."""
    typer.echo(to_json(content, indent=1, inf_nan_mode="null", fallback=_plain))


def _plain(value: Any) -> Any:
    """What JSON has no kind for: other mappings, NumPy's arrays and numbers; anything else as its text."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)
