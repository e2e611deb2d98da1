"""Reading files that others made: regular files alone, of a size that was looked at, never waiting for anybody.

A pipe in place of a file would be waited for for ever, a device read without end, a sparse terabyte taken into memory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

from fer_prep.errors import FormatError

MAX_BYTES: Final = 256 << 20
"""No file of a raw dataset comes near this, and no table."""

_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def open_regular(path: Path, *, most_bytes: int = MAX_BYTES) -> Generator[BufferedReader]:
    """The file, open for reading bytes; raises FormatError for what is no regular file or larger than ``most_bytes``.

    Raises OSError where it cannot be opened.
    """
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind == stat.S_IFREG:
        # should it be exchanged in between, not even a pipe is waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFREG and status.st_size <= most_bytes:
                yield stream
                return
            if kind == stat.S_IFREG:
                found = f"{status.st_size} bytes"
                raise FormatError(expected=f"a file of at most {most_bytes} bytes", found=found, path=path)
    raise FormatError(expected="a file", found=_KINDS.get(kind, "something else"), path=path)


def read_bytes(path: Path, *, most_bytes: int = MAX_BYTES) -> bytes:
    """All of a file; see ``open_regular``."""
    with open_regular(path, most_bytes=most_bytes) as stream:
        return stream.read()


def read_text(path: Path) -> str:
    """All of a UTF-8 text file, its line ends as they are; a mark at its beginning, as Windows writes it, is dropped.

    Raises UnicodeDecodeError for other text.
    """
    return read_bytes(path).decode("utf-8-sig")
