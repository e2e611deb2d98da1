"""Where things are in a prepared folder, and its two tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fer_prep.errors import PreparedFolderError, Reason
from fer_prep.sample import Rejection
from fer_prep.samples_table import COLUMNS, Row, row_from_text, row_to_text

FORMAT: Final = "fer-prepared"
FORMAT_VERSION: Final = 1

RGB, DEPTH = "rgb", "depth"
SUMMARY, SAMPLES, REJECTED, LEFT_OUT = "prepared.json", "samples.csv", "rejected.csv", "left_out.csv"
PREVIEW: Final = "preview.png"
TABLES: Final = (SAMPLES, REJECTED, LEFT_OUT)
REJECTION_COLUMNS: Final = ("source_file", "sample_id", "stage", "expected", "found", "reason")


def rgb_path(folder: Path, name: str) -> Path:
    """The colour picture of a sample."""
    return folder / RGB / f"{name}.png"


def depth_path(folder: Path, name: str) -> Path:
    """The 16-bit depth of a sample."""
    return folder / DEPTH / f"{name}.png"


def samples_text(rows: Iterable[Row]) -> str:
    """``samples.csv``, sorted by sample id."""
    lines = [row_to_text(row) for row in sorted(rows, key=lambda row: row["id"])]
    return _csv_text([column.name for column in COLUMNS], lines)


def rejections_text(rejections: Iterable[Rejection]) -> str:
    """``rejected.csv`` or ``left_out.csv``, sorted; a cell never spans lines."""
    lines = sorted([_one_line(getattr(r, name)) for name in REJECTION_COLUMNS] for r in rejections)
    return _csv_text(REJECTION_COLUMNS, lines)


def read_samples(path: Path) -> list[Row]:
    """The typed rows of ``samples.csv``; raises PreparedFolderError naming the line that cannot be read."""
    rows: list[Row] = []
    for number, cells in _read(path, [column.name for column in COLUMNS]):
        try:
            rows.append(row_from_text(cells))
        except ValueError as error:
            raise PreparedFolderError(f"line {number}: {error}", path=path) from None
    return rows


def read_rejections(path: Path) -> list[Rejection]:
    """The rows of ``rejected.csv`` or ``left_out.csv``."""
    rows: list[Rejection] = []
    for number, cells in _read(path, REJECTION_COLUMNS):
        try:
            reason = Reason(cells["reason"])
        except ValueError as error:
            raise PreparedFolderError(f"line {number}: {error}", path=path) from None
        texts = {name: cells[name] for name in REJECTION_COLUMNS if name != "reason"}
        rows.append(Rejection(**texts, reason=reason))
    return rows


def _csv_text(columns: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    # file names may hold bytes that are no UTF-8: a table must be readable all the same
    return stream.getvalue().encode("utf-8", errors="backslashreplace").decode("utf-8")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _read(path: Path, columns: Iterable[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """Line numbers and cells; the columns must all be there."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
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
