"""``.bnt``: a range grid with the picture coordinates of every point, little-endian, no padding.

::

    0        uint16    rows
    2        uint16    columns
    4        float64   background value: whatever equals it was not measured
    12       uint16    L, the length of the picture's name
    14       L bytes   the picture's name
    14 + L   uint32    number of float64 that follow: 5 · rows · columns
    18 + L   float64   five planes one after another: x, y, z (mm), a, b; each row by row, the bottom row first

a and b are the point's place in the picture as fractions of its width and height. Layout after the official reader
(``read_bntfile``, A. Savran, 2008). From which side b counts has been doubted; it is returned as it is in the file,
and whoever has the landmark files beside it can check.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError

_HEAD: Final = struct.Struct("<HHdH")
_COUNT: Final = struct.Struct("<I")
_PLANES: Final = 5
_BEYOND_MM: Final = 1e5
"""No range camera sees 100 m: a larger number in any plane is damage, not a measurement."""
_MAX_POINTS: Final = 2_000_000
"""The sensor's picture has fewer pixels; a grid of a face has fifty thousand points."""
_UV_MARGIN: Final = 0.01
"""Points may fall this far beside the picture (rounding at its border) before they count as damaged."""


@dataclass(frozen=True, kw_only=True)
class RangeGrid:
    """A structured range scan, top row first."""

    points_mm: NDArray[np.float64]
    """(rows, cols, 3) x right, y up, z toward the sensor; NaN where ``valid`` is false."""
    image_uv: NDArray[np.float64]
    """(rows, cols, 2) a, b: fractions of the picture's width and height, a from the left, b from the top;
    NaN where ``valid`` is false."""
    valid: NDArray[np.bool_]
    """(rows, cols)."""
    image_name: str
    """The picture's file name as the header gives it."""


def read_bnt(data: bytes) -> RangeGrid:
    """Read a ``.bnt`` file; the header is held against the file's size before anything is allocated.

    A point is invalid where any of its five values is the background value, not finite, or absurd.
    """
    rows, columns, background, image_name, values_at = _read_header(data)
    planes = np.frombuffer(data, "<f8", offset=values_at).reshape(_PLANES, rows, columns)[:, ::-1]  # top row first
    valid = _measured(planes, background)
    if not valid.any():
        raise FormatError(expected="at least one measured point", found=f"{rows} × {columns} points of background")
    measured = np.where(valid, planes, np.nan)
    return RangeGrid(
        points_mm=np.moveaxis(measured[:3], 0, -1),
        image_uv=np.moveaxis(measured[3:], 0, -1),
        valid=valid,
        image_name=image_name,
    )


def _read_header(data: bytes) -> tuple[int, int, float, str, int]:
    """Rows, columns, background value, picture name, and the offset of the first plane."""
    if len(data) < _HEAD.size:
        raise FormatError(
            expected=f"a header of {_HEAD.size} bytes", found=f"{len(data)} bytes" if data else "an empty file"
        )
    rows, columns, background, name_length = _HEAD.unpack_from(data)
    values_at = _HEAD.size + name_length + _COUNT.size
    if len(data) < values_at:
        raise FormatError(expected=f"a header of {values_at} bytes", found=f"{len(data)} bytes")
    (count,) = _COUNT.unpack_from(data, values_at - _COUNT.size)
    if rows * columns == 0 or count != _PLANES * rows * columns:
        raise FormatError(
            expected=f"{_PLANES} planes of rows × columns values",
            found=f"{rows} rows × {columns} columns and {count} values announced",
        )
    if rows * columns > _MAX_POINTS:
        raise FormatError(expected=f"a grid of at most {_MAX_POINTS} points", found=f"{rows} × {columns}")
    if len(data) != values_at + 8 * count:
        raise FormatError(
            expected=f"{values_at + 8 * count} bytes for {rows} × {columns} points", found=f"{len(data)} bytes"
        )
    name = data[_HEAD.size : _HEAD.size + name_length].split(b"\0")[0].decode("latin-1").strip()
    return rows, columns, background, name, values_at


def _measured(planes: NDArray[np.float64], background: float) -> NDArray[np.bool_]:
    """(rows, cols) true where all five values are measurements; comparisons are false for NaN."""
    space, picture = planes[:3], planes[3:]
    in_space = (np.abs(space) < _BEYOND_MM).all(0) & (space != background).all(0)
    in_picture = (np.abs(picture - 0.5) <= 0.5 + _UV_MARGIN).all(0) & (picture != background).all(0)
    return in_space & in_picture
