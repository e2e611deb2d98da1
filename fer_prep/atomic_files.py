"""Files that are either whole or absent: written under a temporary name, flushed to the disk, then renamed.

A killed process leaves at most files named ``.<name>.<token>.part``, which ``remove_leftovers`` recognises. The token
is the process's own, and the file is made new: nobody else's file, and no link that lies there, is ever written to.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import secrets
import socket
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LEFTOVERS: Final = ".*.part"
"""Glob pattern of the temporary names."""


def stage_file(path: Path, *, content: bytes | str, flush: bool = True) -> Path:
    """Write ``content`` beside ``path`` under a temporary name and return that name.

    Without ``flush`` the disk may have it later: for many small files that ``flush_file_system`` makes durable at
    once, a hundred times faster than one by one.
    Raises OSError (naming ``path``) where the disk is full or the folder is not writable; then nothing is left behind.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    staged = _temporary(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        with staged.open("xb") as stream:
            stream.write(data)
            if flush:
                stream.flush()
                os.fsync(stream.fileno())
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    return staged


def publish_file(staged: Path, *, path: Path) -> None:
    """Give a staged file its final name, replacing what was there, in one step."""
    staged.replace(path)


def write_atomically(path: Path, *, content: bytes | str) -> None:
    """Write a whole file or nothing: after a kill or a full disk, ``path`` holds its old content or the new one.

    Its folder is made where there is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = stage_file(path, content=content)
    publish_file(staged, path=path)
    flush_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a temporary path in the same folder; it takes the place of ``path`` when the block ends well.

    For files that a library writes by name. What killed processes of this machine left of the same file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.{_host()}-*.part"):
        if not Path(f"/proc/{left.name.split('-')[-2]}").exists():
            left.unlink(missing_ok=True)
    part = _temporary(path)
    try:
        with errors_name(path):
            part.touch(exist_ok=False)
            yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
        flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A name beside ``path`` that tells its process: ``.<name>.<host>-<process>-<random>.part``."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part")


def _host() -> str:
    """This machine, without saying its name."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


@contextmanager
def errors_name(path: Path) -> Generator[None]:
    """Name ``path`` in an error of the system that names no file: a full disk is noticed while writing."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def flush_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_file_system(folder: Path) -> None:
    """Make everything written so far to the file system of ``folder`` survive a power failure (syncfs(2)).

    Raises OSError where some of it cannot be written.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(folder))
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Delete the temporary files that killed runs left in ``folder``; return how many there were.

    Call it only while no other process writes there (``folder_lock``).
    """
    leftovers = list(folder.glob(LEFTOVERS)) if folder.is_dir() else []
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)
