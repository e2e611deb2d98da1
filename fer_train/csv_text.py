"""CSV as every file of a run has it: a header, Unix line ends, and no cell that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

FORMULA: Final = re.compile(r"\s*[=+\-@]")
"""How a cell begins that a spreadsheet takes for a formula."""


def to_csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """The text of a CSV file."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([as_text(name) for name in columns])
    writer.writerows([as_text(cell) for cell in line] for line in lines)
    return stream.getvalue()


def as_text(cell: object) -> object:
    """A name that looks like a formula, with the apostrophe that makes it text; numbers and other names as they are.

    >>> as_text("=1+1"), as_text("-0.5"), as_text("bu3dfe/F0001")
    ("'=1+1", '-0.5', 'bu3dfe/F0001')
    """
    if not isinstance(cell, str) or not FORMULA.match(cell.removeprefix("'")):
        return cell
    with suppress(ValueError):
        float(cell)
        return cell
    return f"'{cell}"


def as_named(cell: str) -> str:
    """What ``as_text`` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:].removeprefix("'")) else cell
