"""What both programs share at the terminal: errors as two lines, exit codes, progress with rate and time left.

Exit codes: 0 done; 1 done, but something is wrong with the data (too many rejected, a check that failed);
2 wrong usage or unreadable input; 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, final

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
from typer.core import TyperGroup

from fer_prep.errors import FerError

EXIT_DATA_WRONG: Final = 1
EXIT_UNUSABLE: Final = 2
EXIT_INTERRUPTED: Final = 130

INSTALL_ALL: Final = "pip install 'fer-rgbd[all]' brings it; fer-prep doctor says what else is missing"
ASK_DOCTOR: Final = "fer-prep doctor gives the one line that installs it"


@final
class _Terminal(Console):
    """A console that leaves it to ``FerGroup`` what a reader who went away means; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Called by rich while it handles the BrokenPipeError."""
        raise BrokenPipeError


console: Final = _Terminal(highlight=False)
"""Results: standard output."""
messages: Final = _Terminal(stderr=True, highlight=False)
"""Progress, warnings and errors: standard error, so that output can be piped."""


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
def progress_bar(description: str, *, total: int, unit: str = "samples") -> Iterator[Callable[[int], None]]:
    """A ``fer_prep.progress.Progress`` that draws a bar on standard error (nothing when it is not a terminal)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as bars:
        task = bars.add_task(description, total=total, unit=unit)
        yield lambda steps: bars.advance(task, steps)


class FerGroup(TyperGroup):
    """A command group in which every FerError, full disk, Ctrl-C and closed pipe ends as a person expects."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program; what a terminal that is not UTF-8 cannot show becomes a question mark, not a crash."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; ``--debug`` lets errors through with their traceback."""
        debug = bool(ctx.params.get("debug"))
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            messages.print("[yellow]interrupted[/]: the same command continues where this one stopped")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except FerError as error:
            if debug:
                raise
            report_error(error)
            raise typer.Exit(EXIT_UNUSABLE) from None
        except BrokenPipeError:
            # the reader of our output went away (| head): leave quietly, as other Unix programs do
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except ImportError as error:
            explained = _explain_import_error(error)
            if debug or explained is None:
                raise
            report_error(explained)
            raise typer.Exit(EXIT_UNUSABLE) from None
        except OSError as error:
            if debug:
                raise
            report_error(_explain_os_error(error))
            raise typer.Exit(EXIT_UNUSABLE) from None


def make_app(program: str, *, version: str, help: str) -> typer.Typer:
    """A command-line program with the options that all of ours have; commands are then registered on it."""
    app = typer.Typer(
        name=program,
        cls=FerGroup,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help=help,
    )

    def print_version(wanted: bool) -> None:
        if wanted:
            console.print(f"{program} {version}")
            raise typer.Exit

    # as default values, not in annotations: those are evaluated as strings, outside of this function
    @app.callback()
    def options(
        debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
        version: bool = typer.Option(
            False, "--version", callback=print_version, is_eager=True, help="Print the version."
        ),
    ) -> None:
        """Options of the whole program; commands follow."""

    return app


def _explain_import_error(error: ImportError) -> FerError | None:
    """The two-line form of a missing package or system library; None for a fault of our own modules."""
    package = (error.name or "").split(".")[0]
    if "cannot open shared object file" in str(error):
        return FerError(f"{package or 'a package'} lacks a system library: {error}", hint=ASK_DOCTOR)
    if isinstance(error, ModuleNotFoundError) and package not in ("", "fer_prep", "fer_train"):
        return FerError(f"the Python package {package} is not installed", hint=INSTALL_ALL)
    return None


def _explain_os_error(error: OSError) -> FerError:
    """The two-line form of an operating-system error."""
    hints = {
        errno.ENOSPC: "free some space and run the same command again: it continues",
        errno.EDQUOT: "your quota is used up; free some space and run the same command again: it continues",
        errno.EACCES: "choose a folder you may write to, or change its permissions",
        errno.EROFS: "this file system is read-only: choose another --out",
    }
    reason = error.strerror or str(error) or type(error).__name__
    return FerError(reason, path=error.filename, hint=hints.get(error.errno or 0, ""))


def too_many_rejected(*, rejected: int, total: int, max_rejected: float) -> bool:
    """True when more than the allowed share of samples (``--max-rejected``) was rejected."""
    return total > 0 and rejected / total > max_rejected


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a plain table on standard output; numbers are right-aligned, and no word is split where there is room."""
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False)
    widths = [_longest_word([name, *(row[index] for row in rows)]) for index, name in enumerate(columns)]
    keep_words = sum(widths) + 3 * (len(widths) - 1) <= console.width
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[index]) for row in rows)
        justify = "right" if numeric else "left"
        table.add_column(name, justify=justify, overflow="fold", min_width=widths[index] if keep_words else None)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(f"[italic]{escape(title)}[/]", soft_wrap=True)  # a title in the table would wrap at its width
    console.print(table)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or bool(re.fullmatch(r"[-−]?\d+(\.\d+)?", str(cell)))


def _longest_word(cells: Sequence[object]) -> int:
    return max((len(word) for cell in cells for word in str(cell).split()), default=1)
