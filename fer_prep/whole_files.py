"""Files read and written in one go, by three to five system calls each.

Python's file objects make six to nine, to ask the system about positions and terminals. Each of them lets go Python's
lock, and a thread that others work beside must wait for it again: in a worker of ``fer-prep align``, with two files
read twice and two written a sample, that was a twentieth of all processor time.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 1 << 18


def read_whole(path: Path) -> bytes:
    """The bytes of a file; raises OSError, naming ``path``, where they cannot be read."""
    with errors_name(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            # one byte more than there should be: a second, empty read tells that this was all
            return b"".join(_blocks(descriptor, os.fstat(descriptor).st_size + 1))
        finally:
            os.close(descriptor)


def read_blocks(path: Path) -> Generator[bytes]:
    """The bytes of a file in pieces of bounded size; raises OSError, naming ``path``, where they cannot be read."""
    with errors_name(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield from _blocks(descriptor, _BLOCK_BYTES)
        finally:
            os.close(descriptor)


def write_new(path: Path, data: bytes, *, flush: bool) -> None:
    """Write a file that was not there; with ``flush``, wait until the disk has it.

    Raises OSError, naming ``path``; a disk that gets full leaves a part of the file.
    """
    with errors_name(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if flush:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def errors_name(path: Path) -> Generator[None]:
    """Name ``path`` in an error of the system that names no file: a full disk is noticed while writing."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _blocks(descriptor: int, size: int) -> Iterator[bytes]:
    while block := os.read(descriptor, size):
        yield block
