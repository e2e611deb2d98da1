"""CSV tables as people and programs write them: every line is read as it stands, or the table is refused.

Strict on purpose. A quotation mark that is never closed would swallow every line up to the next one; no cell of any
table here spans lines, so such a cell is an error. Commas, semicolons, tabs and bars separate cells, whichever the
first line has most of.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fer_prep.errors import FormatError
from fer_prep.regular_files import read_text

_DELIMITERS: Final = ",;\t|"
_FORMULA: Final = re.compile(r"\s*[=+\-@]")
"""How a cell begins that a spreadsheet takes for a formula."""
_NUMBERS: Final = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?( [-+]?[0-9.]+(e[-+]?[0-9]+)?)*|-inf")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a header line."""

    columns: tuple[str, ...]
    lines: tuple[tuple[int, dict[str, str]], ...]
    """Line number in the file and the cells by column, without the blanks around them; empty lines are left out."""


def read_table(path: Path) -> Table:
    """Read a CSV file; raises FormatError that names the first line which is not one cell a column."""
    before = 0
    try:
        text = read_text(path)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
        columns, lines = _header(next(reader, [])), list[tuple[int, dict[str, str]]]()
        before = reader.line_num
        for cells in reader:
            number, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if any("\n" in cell or "\r" in cell for cell in cells):
                raise csv.Error(f"line {number}: a quotation mark that is not closed in its line")
            if len(cells) != len(columns):
                raise csv.Error(f"line {number}: {len(cells)} cells for {len(columns)} columns")
            lines.append((number, {name: as_named(cell.strip()) for name, cell in zip(columns, cells, strict=True)}))
    except csv.Error as error:
        found = str(error).replace("unexpected end of data", "a quotation mark that is not closed")
        found = found if found.startswith(("line", "column")) else f"line {before + 1}: {found}"
        raise FormatError(path=path, expected="a CSV table, one cell a column", found=found) from None
    except UnicodeDecodeError as error:
        raise FormatError(path=path, expected="a CSV table in UTF-8", found=str(error)) from None
    return Table(columns=columns, lines=tuple(lines))


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


def _header(cells: Sequence[str]) -> tuple[str, ...]:
    names = tuple(cell.strip() for cell in cells)
    if doubles := [name for name, times in Counter(names).items() if times > 1]:
        raise csv.Error(f"column {doubles[0]!r} is there more than once")
    return names


def write_table(columns: Iterable[str], lines: Iterable[Iterable[Any]]) -> str:
    """The text of a table that ``read_table`` reads back, and in which no spreadsheet finds a formula."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([as_text(name) for name in columns])
    writer.writerows([as_text(cell) for cell in line] for line in lines)
    return stream.getvalue()


def as_text(cell: Any) -> Any:
    """A name that looks like a formula, with the apostrophe that makes it text; numbers and other names as they are.

    For spreadsheets, which compute what begins like a formula (OWASP, CSV injection).

    >>> as_text("=1+1"), as_text("-0.5"), as_text("bu3dfe/F0001")
    ("'=1+1", '-0.5', 'bu3dfe/F0001')
    """
    if not isinstance(cell, str) or not _FORMULA.match(cell.removeprefix("'")):
        return cell
    return cell if _NUMBERS.fullmatch(cell) else f"'{cell}"


def as_named(cell: str) -> str:
    """What ``as_text`` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:].removeprefix("'")) else cell
