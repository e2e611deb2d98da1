"""HDF5 files on disks that fill up: one kind of error, and a way to get rid of a file that cannot be finished."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py


@contextmanager
def os_errors(path: Path) -> Generator[None]:
    """Failures of the disk, which h5py reports as errors of several kinds, as OSError with number, reason and file."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        told = re.search(r"errno = (\d+)", str(error))
        if told is None:
            raise
        number = int(told.group(1))
        raise OSError(number, os.strerror(number), str(path)) from error


def discard(root: h5py.File, path: Path) -> None:
    """Close and remove an unfinished file, also where its disk takes nothing any more."""
    path.unlink(missing_ok=True)
    if root:
        # HDF5 writes when it closes, and crashes the process later where that fails: let it write to memory instead
        memory = os.memfd_create(path.name)
        os.dup2(memory, root.id.get_vfd_handle())
        os.close(memory)
        with suppress(RuntimeError):  # its own caches can be in disorder by now
            root.close()


def sync(path: Path) -> None:
    """Force a written file to the disk, so that a rename after it can be trusted."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
