"""One run per folder or file: a lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fer_prep.errors import BusyError, DatasetFileError, FerError, PreparedFolderError

LOCK_NAME: Final = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Generator[None]:
    """Hold ``folder`` for this process; raises BusyError naming the holder where another run has it.

    The file ``.lock`` says who holds it and is gone after a clean end; one that a killed run left is taken over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder / LOCK_NAME, owned=folder, kind=PreparedFolderError):
        yield


@contextmanager
def file_lock(path: Path) -> Generator[None]:
    """Hold the writing of the file ``path`` for this process, by a file ``.<name>.lock`` beside it; see above."""
    with _held(path.with_name(f".{path.name}{LOCK_NAME}"), owned=path, kind=DatasetFileError):
        yield


@contextmanager
def taking_turns(lock: Path) -> Generator[None]:
    """Wait until no other process or thread is inside a block with the same lock file, then hold it.

    Unlike the others this one waits and says nothing; the empty file stays.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def _held(path: Path, *, owned: Path, kind: type[FerError]) -> Generator[None]:
    """The lock itself is flock(2) on the file ``path``, which a dead process cannot hold."""
    descriptor = _acquire(path, owned, kind)
    try:
        _sign(descriptor, owned)
        yield
    finally:
        # unlinked while still held, so that nobody can hold a file that is no longer there (see _acquire)
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, owned: Path, kind: type[FerError]) -> int:
    """Open and lock ``path``, again if it was unlinked by its holder between our opening and our locking it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(descriptor, path):
                return descriptor
        except OSError as error:
            busy = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
            refusal = BusyError(path=owned, **_busy(descriptor)) if busy else kind(path=owned, **_unlockable(error))
            os.close(descriptor)
            raise refusal from None
        os.close(descriptor)


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int, owned: Path) -> None:
    """Write down who holds the lock; a full disk is noticed here first."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(owned)) from error


def _busy(descriptor: int) -> dict[str, str]:
    """The words of an error that names the run which holds the lock."""
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        who = f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return {
        "message": f"another run is writing here ({who})",
        "expected": "one run at a time",
        "found": who,
        "hint": "wait for it to end, or stop it: the same command then continues or begins again",
    }


def _unlockable(error: OSError) -> dict[str, str]:
    reason = error.strerror or type(error).__name__
    return {
        "message": f"cannot lock this: {reason}",
        "expected": "a file system with flock(2)",
        "found": reason,
        "hint": "choose an --out on a local disk and copy the result",
    }
