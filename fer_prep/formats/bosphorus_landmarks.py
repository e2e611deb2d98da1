"""``.lm2`` and ``.lm3``: named landmarks in the picture (pixels) and on the scan (mm), as text.

``.lm2``: comment, ``N Landmarks``, ``Labels:``, N lines of labels, ``2D Image coordinates:``, N lines ``x y``.
``.lm3``: comment, lines of information starting with ``*``, ``N landmarks:``, N times a label line and ``x y z``.
Blank lines, comments (``#``) and either line end are of no meaning. Points that could not be seen are left out of a
file, so landmarks have names and never positions.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError

_MAX_BYTES: Final = 256 << 10
_COUNT_LINE: Final = re.compile(r"(\d{1,6})\s+landmarks?\s*:?", re.IGNORECASE)
# possessive: a word of a megabyte is refused in one pass
_NUMBER: Final = re.compile(r"[+-]?(?:\d++\.?+\d*+|\.\d++)(?:e[+-]?\d++)?+|nan", re.IGNORECASE | re.ASCII)

LandmarkTable = dict[str, NDArray[np.float64]]
"""Label as in the file → (2,) picture x, y in pixels, or (3,) x, y, z in mm; NaN points are left out."""


def read_lm2(data: bytes) -> LandmarkTable:
    """Read the landmarks of a picture: label → (2,) x (from the left), y (from the top) in pixels."""
    lines = _lines(data)
    count, start = _announced(lines)
    if start >= len(lines) or lines[start].lower().rstrip(":").strip() != "labels":
        raise FormatError(expected="the line 'Labels:'", found=_shown(lines, start))
    labels = lines[start + 1 : start + 1 + count]
    heading = start + 1 + count
    if heading >= len(lines) or "coordinates" not in lines[heading].lower():
        raise FormatError(expected=f"'2D Image coordinates:' after {count} labels", found=_shown(lines, heading))
    return _table(labels, lines[heading + 1 :], announced=count, width=2)


def read_lm3(data: bytes) -> LandmarkTable:
    """Read the landmarks of a range scan: label → (3,) x, y, z in mm."""
    lines = _lines(data)
    count, start = _announced(lines)
    body = lines[start:]
    return _table(body[0::2], body[1::2], announced=count, width=3)


def _lines(data: bytes) -> list[str]:
    """The lines that say something: stripped, without blanks, comments and ``*`` information."""
    if len(data) > _MAX_BYTES:
        raise FormatError(expected="a landmark file of a few kilobytes", found=f"{len(data)} bytes")
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    stripped = (line.strip() for line in text.split("\n"))
    return [line for line in stripped if line and line[0] not in "#*%"]


def _announced(lines: list[str]) -> tuple[int, int]:
    """The number of landmarks the file announces, and the line after the announcement."""
    for number, line in enumerate(lines):
        if match := _COUNT_LINE.fullmatch(line):
            return int(match[1]), number + 1
    raise FormatError(expected="a line 'N landmarks:'", found=_shown(lines, 0))


def _table(labels: list[str], rows: list[str], *, announced: int, width: int) -> LandmarkTable:
    if len(labels) != announced or len(rows) != announced:
        raise FormatError(
            expected=f"{announced} landmarks, as announced", found=f"{len(labels)} labels and {len(rows)} points"
        )
    table: LandmarkTable = {}
    for label, row in zip(labels, rows, strict=True):
        if label in table:
            raise FormatError(expected="every label once", found=f"{label[:60]!r} twice")
        table[label] = _point(label, row, width=width)
    return {label: point for label, point in table.items() if np.isfinite(point).all()}


def _point(label: str, row: str, *, width: int) -> NDArray[np.float64]:
    """One point; a coordinate written as NaN is legal and means that the point was not seen."""
    words = row.replace(",", " ").split()
    if len(words) != width or not all(_NUMBER.fullmatch(word) for word in words):
        raise FormatError(expected=f"{width} numbers for {label[:60]!r}", found=repr(row[:60]))
    return np.array([float(word) for word in words])


def _shown(lines: list[str], number: int) -> str:
    return repr(lines[number][:60]) if number < len(lines) else "the end of the file"
