"""Tables on standard output that fit the terminal: words are not split, and no column is lost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.markup import escape

from fer_prep.cli.console import console

GAP: Final = 3
"""Columns of the terminal between two of the table: a rule with a space on either side."""
INDENT: Final = 2
LONGEST_WORD: Final = 30
"""A longer one, such as a path, may be split; not in the first column, which names the row."""


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a plain table, numbers on the right; where the terminal is too narrow for it, row below row in words."""
    console.print(f"[italic]{escape(title)}[/]", soft_wrap=True)  # a title in the table would wrap at its width
    texts = [[str(cell) for cell in row] for row in rows]
    widths = column_widths(columns, texts, room=console.width)
    if widths is None:
        _print_stacked(columns, texts)
    else:
        numeric = [bool(rows) and all(_is_number(row[index]) for row in rows) for index in range(len(columns))]
        _print_side_by_side(columns, texts, widths=widths, numeric=numeric)


def column_widths(columns: Sequence[str], rows: Sequence[Sequence[str]], *, room: int) -> list[int] | None:
    """How wide each column is in a terminal of ``room`` columns; None where not even the longest words fit.

    Every column gets its longest word; what is left over is given first to those that lack least.
    """
    cells = [[name, *(row[index] for row in rows)] for index, name in enumerate(columns)]
    wanted = [max(map(cell_len, column)) for column in cells]
    words = [max((cell_len(word) for text in column for word in text.split()), default=1) for column in cells]
    widths = [word if index == 0 else min(word, LONGEST_WORD) for index, word in enumerate(words)]
    spare = room - sum(widths) - GAP * (len(widths) - 1)
    if spare < 0:
        return None
    for index in sorted(range(len(widths)), key=lambda index: wanted[index] - widths[index]):
        more = min(spare, wanted[index] - widths[index])
        widths[index] += more
        spare -= more
    return widths


def _print_side_by_side(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, widths: Sequence[int], numeric: Sequence[bool]
) -> None:
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False)
    for name, width, is_number in zip(columns, widths, numeric, strict=True):
        table.add_column(name, width=width, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _print_stacked(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The row's name on a line of its own, never wrapped; below it the other cells, each after its column's name."""
    for name, *cells in rows:
        if name:
            console.print(escape(name), soft_wrap=True)
        told = [f"{column} {cell}".strip() for column, cell in zip(columns[1:], cells, strict=True) if cell]
        for line in _flowed(told, room=console.width - INDENT):
            console.print(INDENT * " " + escape(line), soft_wrap=True)


def _flowed(parts: Sequence[str], *, room: int) -> list[str]:
    """The parts with commas, as many in a line as fit; lines end between parts."""
    lines: list[str] = []
    for part in parts:
        if lines and cell_len(lines[-1]) + cell_len(part) + len(", ,") <= room:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return [f"{line}," for line in lines[:-1]] + lines[-1:]


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or bool(re.fullmatch(r"[-−]?\d+(\.\d+)?", str(cell)))
