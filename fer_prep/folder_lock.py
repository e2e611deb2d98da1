"""One run per folder: a lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fer_prep.errors import PreparedFolderError

LOCK_NAME: Final = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; raises PreparedFolderError naming the holder where another run has it.

    The file ``.lock`` says who holds it and is gone after a clean end; one that a killed run left is taken over.
    The lock itself is flock(2) on that file, which a dead process cannot hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_NAME
    descriptor = _acquire(path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        # unlinked while still held, so that nobody can hold a file that is no longer there (see _acquire)
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """Open and lock ``path``, again if it was unlinked by its holder between our opening and our locking it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(descriptor, path):
                return descriptor
        except OSError as error:
            busy = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
            refusal = _busy(path, descriptor) if busy else _unlockable(path, error)
            os.close(descriptor)
            raise refusal from None
        os.close(descriptor)


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _busy(path: Path, descriptor: int) -> PreparedFolderError:
    """The error that names the run which holds the lock."""
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        who = f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return PreparedFolderError(
        f"another run is writing here ({who})",
        path=path.parent,
        expected="one run per folder",
        found=who,
        hint="wait for it to end, or stop it: the same command then continues where it stopped",
    )


def _unlockable(path: Path, error: OSError) -> PreparedFolderError:
    reason = error.strerror or type(error).__name__
    return PreparedFolderError(
        f"cannot lock this folder: {reason}",
        path=path.parent,
        expected="a file system with flock(2)",
        found=reason,
        hint="choose an --out on a local disk and copy the result",
    )
