"""The columns of a samples table: one list for ``samples.csv`` and the HDF5 file's ``/samples``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: ``kind`` is a NumPy type code, or ``"str"``; ``width`` 2 means an (x, y) pair."""

    name: str
    kind: str
    width: int = 1

    def to_text(self, value: Any) -> str:
        """One CSV cell; a pair is its two numbers with a space between, NaN is written ``nan``."""
        if self.kind == "str":
            return str(value)
        numbers = np.atleast_1d(np.asarray(value, self.kind))
        return " ".join(_shortest(number) for number in numbers)

    def from_text(self, text: str) -> Any:
        """The value of a CSV cell; raises ValueError where the text is not of this column's type."""
        if self.kind == "str":
            return text
        numbers = np.array(text.split(), dtype=self.kind)
        if numbers.shape != (self.width,):
            raise ValueError(f"column {self.name}: expected {self.width} number(s); found {text!r}")
        return numbers if self.width > 1 else numbers[0]


def _shortest(number: np.generic) -> str:
    """The shortest text that reads back as the same number."""
    text = str(number)
    # the same digits; ``format_float_positional`` takes three times as long
    if "e" in text and isinstance(number, np.floating):
        return np.format_float_positional(number, trim="0")
    return text


COLUMNS: Final[tuple[Column, ...]] = (
    Column(name="id", kind="str"),
    Column(name="subject", kind="str"),
    Column(name="dataset", kind="str"),
    Column(name="source_file", kind="str"),
    Column(name="label", kind="u1"),
    Column(name="label_source", kind="str"),
    Column(name="action_unit", kind="str"),
    Column(name="gender", kind="str"),
    Column(name="ethnicity", kind="str"),
    Column(name="intensity", kind="u1"),
    Column(name="clip", kind="str"),
    Column(name="frame", kind="u4"),
    Column(name="yaw_degrees", kind="f4"),
    Column(name="pitch_degrees", kind="f4"),
    Column(name="roll_degrees", kind="f4"),
    Column(name="left_eye", kind="f4", width=2),
    Column(name="right_eye", kind="f4", width=2),
    Column(name="depth_offset_mm", kind="f4"),
    Column(name="mm_per_pixel", kind="f4"),
    Column(name="origin_mm", kind="f4", width=2),
    Column(name="focal_px", kind="f4"),
    Column(name="principal_px", kind="f4", width=2),
    Column(name="digest", kind="str"),
    # beyond the contract: what a person asks next when looking at a sample
    Column(name="nose_tip", kind="f4", width=2),
    Column(name="mouth_left", kind="f4", width=2),
    Column(name="mouth_right", kind="f4", width=2),
    Column(name="landmarks_from", kind="str"),
    Column(name="faces_found", kind="u1"),
    Column(name="rgb_source", kind="str"),
    Column(name="registration_residual_px", kind="f4"),
    Column(name="filled_pixels", kind="u4"),
    Column(name="publishable", kind="u1"),
)

Row = dict[str, Any]
"""One sample: column name → value (str, NumPy scalar, or (2,) array)."""


def row_to_text(row: Mapping[str, Any]) -> list[str]:
    """One CSV line, in column order; raises KeyError where a column is missing."""
    return [column.to_text(row[column.name]) for column in COLUMNS]


def row_from_text(cells: Mapping[str, str]) -> Row:
    """The typed row of a CSV line read by ``csv.DictReader``."""
    return {column.name: column.from_text(cells[column.name]) for column in COLUMNS}


def cells_to_text(row: Mapping[str, Any]) -> dict[str, str]:
    """The CSV cells, by name, of those columns that ``row`` has."""
    return {column.name: column.to_text(row[column.name]) for column in COLUMNS if column.name in row}


def cells_from_text(cells: Mapping[str, str]) -> Row:
    """The typed values of those columns that ``cells`` has: what ``cells_to_text`` was given."""
    return {column.name: column.from_text(cells[column.name]) for column in COLUMNS if column.name in cells}


def column_array(column: Column, rows: Iterable[Mapping[str, Any]]) -> np.ndarray:
    """All values of one column: (N,) or (N, width); strings as an object array."""
    values = [row[column.name] for row in rows]
    if column.kind == "str":
        return np.array(values, dtype=object)
    return np.asarray(values, dtype=column.kind).reshape((-1, column.width) if column.width > 1 else (-1,))
