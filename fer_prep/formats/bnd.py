"""``.bnd``: landmarks as rows of ``vertexIndex x y z``, text, no header.

The index addresses the point list of the mesh beside it (0-based); x, y, z repeat that vertex. Index and coordinates
are separated by tabs or blanks; a trailing empty row occurs. The number of rows is whatever the file holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError
from fer_prep.formats.number_text import NumberTextError, parse_numbers

_MAX_BYTES: Final = 256 << 10
_MAX_INDEX: Final = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Bnd:
    """Landmarks on a mesh, in file order."""

    vertex_index: NDArray[np.int64]
    """(n,) 0-based index into the mesh's point list."""
    points_mm: NDArray[np.float64]
    """(n, 3) x, y, z as the file repeats them."""


def read_bnd(data: bytes) -> Bnd:
    """Read a ``.bnd`` file; raises FormatError naming the row that is not ``index x y z``."""
    if len(data) > _MAX_BYTES:
        raise FormatError(expected="rows of 'vertexIndex x y z'", found=f"a file of {len(data)} bytes")
    lines = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise FormatError(expected="rows of 'vertexIndex x y z'", found="an empty file")
    for number, line in rows:
        if len(line.replace(b",", b" ").split()) != 4:
            raise FormatError(expected="four numbers 'vertexIndex x y z'", found=f"line {number}: {_shown(line)}")
    try:
        table = parse_numbers(b"\n".join(line for _, line in rows), kind=np.float64).reshape(-1, 4)
    except NumberTextError as error:
        raise FormatError(expected="four numbers 'vertexIndex x y z'", found=error.found) from None
    index = table[:, 0]
    legal = np.isfinite(table).all(1) & (index >= 0) & (index <= _MAX_INDEX) & (index == np.rint(index))
    if not legal.all():
        number, line = rows[int(np.argmin(legal))]
        raise FormatError(expected="a vertex index from 0 and finite x y z", found=f"line {number}: {_shown(line)}")
    return Bnd(vertex_index=index.astype(np.int64), points_mm=np.ascontiguousarray(table[:, 1:]))


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("latin-1"))
