"""Files to arrays with the file named in every error: readers of bytes do not know where the bytes came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from fer_prep.errors import FormatError

T = TypeVar("T")

MAX_FILE_BYTES: Final = 256 << 20
"""No file of a raw dataset comes near this: looked at before anything is read into memory."""


def read_file(path: Path, *, reader: Callable[[bytes], T]) -> T:
    """What ``reader`` makes of the file's bytes; its FormatError is raised with ``path`` in it."""
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise FormatError(expected=f"a file of at most {MAX_FILE_BYTES >> 20} MiB", found=f"{size >> 20} MiB")
        return reader(path.read_bytes())
    except FormatError as error:
        raise error.within(path) from None
