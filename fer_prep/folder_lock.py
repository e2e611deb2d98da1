"""One run per folder or file: a lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from fer_prep.errors import BusyError, UsageError

LOCK_NAME: Final = ".lock"
_PROCESS: Final = "process "
"""How the content of a lock begins."""


@contextmanager
def folder_lock(folder: Path) -> Generator[None]:
    """Hold ``folder`` for this process; raises BusyError naming the holder where another run has it.

    The file ``.lock`` says who holds it and is gone after a clean end; one that a killed run left is taken over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder / LOCK_NAME, owned=folder):
        yield


@contextmanager
def file_lock(path: Path) -> Generator[None]:
    """Hold the writing of the file ``path`` for this process, by a file ``.<name>.lock`` beside it; see above."""
    with _held(path.with_name(f".{path.name}{LOCK_NAME}"), owned=path):
        yield


@contextmanager
def taking_turns(lock: Path) -> Generator[None]:
    """Wait until no other process or thread is inside a block with the same lock file, then hold it.

    Unlike the others this one waits and says nothing; the empty file stays.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


@contextmanager
def _held(path: Path, *, owned: Path) -> Generator[None]:
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        who = _holder(path)
        raise BusyError(
            f"another run is writing here ({who})",
            path=owned,
            expected="one run at a time",
            found=who,
            hint="wait for it to end, or stop it: the same command then continues or begins again",
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot lock this: {error.strerror or type(error).__name__}",
            path=owned,
            hint="choose an --out that you can write to, on a local disk, and copy the result",
        ) from None
    if _is_foreign(path):
        lock.release()
        raise UsageError("a file of another program is where this one locks", path=path, hint="move it away")
    try:
        path.write_text(f"{_PROCESS}{os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        # while still held: filelock never takes a file that is no longer there
        path.unlink(missing_ok=True)
        lock.release()


def _is_foreign(path: Path) -> bool:
    """Whether the file has other content than a lock, or another name too: it is not ours to write to."""
    with path.open("rb") as stream:
        return stream.read(len(_PROCESS)) not in (b"", _PROCESS.encode()) or os.fstat(stream.fileno()).st_nlink > 1


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except (OSError, ValueError):
        return "another process"
