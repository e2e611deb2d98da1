"""Files to arrays with the file named in every error: readers of bytes do not know where the bytes came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fer_prep.errors import FormatError
from fer_prep.regular_files import read_bytes

T = TypeVar("T")


def read_file(path: Path, *, reader: Callable[[bytes], T]) -> T:
    """What ``reader`` makes of the file's bytes; its FormatError is raised with ``path`` in it."""
    try:
        return reader(read_bytes(path))
    except FormatError as error:
        raise error.within(path) from None
