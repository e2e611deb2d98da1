"""The tables of a prepared folder: ``samples.csv``, ``rejected.csv`` and ``left_out.csv`` as text and back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from fer_prep.csv_tables import as_named, write_table
from fer_prep.errors import PreparedFolderError, Reason
from fer_prep.regular_files import read_text
from fer_prep.sample import Rejection
from fer_prep.samples_table import COLUMNS, Row, row_from_text, row_to_text

SOFT: Final = "soft_"
"""How the columns begin that hold the annotators' shares, one a class."""
_ID: Final = re.compile(r"\w[^/\0]*/[^./\0][^/\0]*")
"""Its second half is a file's name."""
REJECTION_COLUMNS: Final = ("source_file", "sample_id", "stage", "expected", "found", "reason")


def samples_text(rows: Iterable[Row], *, soft: Sequence[str] = ()) -> str:
    """``samples.csv``, sorted by sample id; ``soft`` names the classes whose shares the rows have."""
    shares = [f"{SOFT}{name}" for name in soft]
    ordered = sorted(rows, key=lambda row: row["id"])
    lines = [[*row_to_text(row), *(str(np.float32(row.get(name, np.nan))) for name in shares)] for row in ordered]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*(column.name for column in COLUMNS), *shares])
    writer.writerows(lines)
    return _utf8(stream.getvalue())


def rejections_text(rejections: Iterable[Rejection]) -> str:
    """``rejected.csv`` or ``left_out.csv``, sorted; a cell never spans lines."""
    lines = sorted([_one_line(getattr(r, name)) for name in REJECTION_COLUMNS] for r in rejections)
    return _utf8(write_table(REJECTION_COLUMNS, lines))


def read_samples(path: Path) -> list[Row]:
    """The typed rows of ``samples.csv``; raises PreparedFolderError naming the line that cannot be read."""
    rows: list[Row] = []
    for number, cells in _lines(path, [column.name for column in COLUMNS]):
        try:
            if not _ID.fullmatch(cells["id"]):
                raise ValueError(f"expected an id such as bu3dfe/F0001_AN01WH; found {cells['id']!r}"[:120])
            shares = {name: np.float32(cell) for name, cell in cells.items() if name.startswith(SOFT)}
            rows.append({**row_from_text(cells), **shares})
        except ValueError as error:
            raise PreparedFolderError(f"line {number}: {error}", path=path) from None
    return rows


def read_rejections(path: Path) -> list[Rejection]:
    """The rows of ``rejected.csv`` or ``left_out.csv``."""
    rows: list[Rejection] = []
    for number, cells in _lines(path, REJECTION_COLUMNS):
        try:
            texts = {name: as_named(cells[name]) for name in REJECTION_COLUMNS if name != "reason"}
            rows.append(Rejection(**texts, reason=Reason(cells["reason"])))
        except ValueError as error:
            raise PreparedFolderError(f"line {number}: {error}", path=path) from None
    return rows


def _utf8(text: str) -> str:
    """File names may hold bytes that are no UTF-8: a table must be readable all the same."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _lines(path: Path, columns: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells; the columns must all be there."""
    try:
        with io.StringIO(read_text(path), newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if missing := set(columns) - set(reader.fieldnames or ()):
                raise PreparedFolderError(
                    expected=f"the columns {', '.join(columns)}", found=f"no {', '.join(sorted(missing))}", path=path
                )
            for cells in reader:
                if None in cells.values() or None in cells:
                    raise PreparedFolderError(
                        f"line {reader.line_num}: expected one cell a column; found another number", path=path
                    )
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PreparedFolderError(f"cannot be read: {error}", path=path) from error
