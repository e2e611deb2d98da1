"""Files that are either whole or not there: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it takes the place of ``path`` when the block ends well.

    A process killed inside the block leaves the old ``path`` as it was and at most a ``.<name>.part`` file behind,
    which the next write of the same path overwrites.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def taking_turns(lock: Path) -> Iterator[None]:
    """Wait until no other process or thread is inside a block with the same lock file, then hold it.

    The kernel drops the lock (flock(2)) when its holder dies, so a kill blocks nobody; the empty file stays.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
