"""What every worker must share with the process that started the run: file system, and code that makes pixels.

Workers on other machines read the raw tree and write beside the prepared folder by path. One that sees other files
under these paths, or has another version of this package or its libraries, would make a folder of mixed origin.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_prep.errors import EngineError
from fer_prep.folder_lock import LOCK_NAME
from fer_prep.prepare.code_version import code_version
from fer_prep.sources import Source

_NFS_CACHE_S: Final = 5.0
"""How long to look again: a network file system may show a new file a few seconds late (acregmin of nfs(5) is 3 s)."""


@dataclass(frozen=True, kw_only=True)
class WorkerPlace:
    """What the process that holds the folder's lock sees."""

    root: Path
    folder: Path
    holder: str
    """The content of the folder's lock file, which names the process that holds it."""
    code: str
    """Digest of the code and libraries that make the pixels (``code_version``)."""

    @classmethod
    def of(cls, folder: Path, *, root: Path, code: str) -> WorkerPlace:
        """The place as the process sees it that has just locked ``folder``."""
        return cls(root=root, folder=folder, holder=(folder / LOCK_NAME).read_text(encoding="utf-8"), code=code)


_seen: set[WorkerPlace] = set()


def check_place(place: WorkerPlace, *, source: Source, wait_s: float = _NFS_CACHE_S) -> None:
    """Raise EngineError where this process does not see ``place`` or has other code; looked at once a process."""
    if place in _seen:
        return
    host = socket.gethostname()
    if code_version(source) != place.code:
        raise EngineError(
            f"the worker on {host} has another version of fer-rgbd or of its libraries than this program",
            hint="install the same versions there (pip install -c constraints.txt), and start the workers anew",
        )
    deadline = time.monotonic() + wait_s
    while problem := _problem(place):
        if time.monotonic() > deadline:
            raise EngineError(
                f"the worker on {host} {problem}",
                hint="all workers need one file system with the same paths; without one, prepare with --part I/N there",
            )
        time.sleep(0.1)
    _seen.add(place)


def _problem(place: WorkerPlace) -> str:
    if not place.root.is_dir():
        return f"does not see the raw tree {place.root}"
    try:
        holder = (place.folder / LOCK_NAME).read_text(encoding="utf-8")
    except OSError:
        return f"does not see the prepared folder {place.folder} of this run"
    return "" if holder == place.holder else f"sees another folder at {place.folder}"
