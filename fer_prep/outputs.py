"""What a command may write over: one rule for every file and folder that a user names, in both programs."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import flush_file_system
from fer_prep.errors import UsageError
from fer_prep.folder_lock import LOCK_NAME, folder_lock

PNG: Final = b"\x89PNG\r\n\x1a\n"
HDF5: Final = b"\x89HDF\r\n\x1a\n"
_UNFINISHED: Final = ".unfinished"


class _Consent:
    given = False
    """``--force``: whatever is in the way may be replaced, except what the command reads."""
    to_show_all = False
    """``--show-all-subjects``: also people whose pictures may not be published."""


consent: Final = _Consent()


def may_be_shown(data: _Columns) -> NDArray[np.bool_]:
    """(N,) whether the person of each sample may be shown in pages, figures and reports."""
    if consent.to_show_all or "publishable" not in data.column_names():
        return np.ones(len(data.column("id")), bool)
    return data.column("publishable") > 0


class _Columns(Protocol):
    """An open dataset."""

    def column_names(self) -> tuple[str, ...]: ...

    def column(self, name: str) -> np.ndarray: ...


def check_output(path: Path, *, what: str, begins: bytes, inputs: Iterable[Path | None] = ()) -> None:
    """Raise UsageError unless the file ``path`` may be written: it is no input, and new, empty or of the same kind.

    ``what`` will be written (``a fold manifest``), which always begins with the bytes ``begins``. Commands ask before
    they start to work.
    """
    refuse_input(path, inputs=inputs)
    if begins == PNG and path.suffix.lower() != ".png":
        raise UsageError("expected a name that ends with .png: it will be a PNG picture", path=path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.exists() or consent.given:
        return
    found = "no regular file"
    if path.is_file():
        with path.open("rb") as stream:
            head = stream.read(2 * len(begins) + 64)
        if not head or _without_blanks(head).startswith(_without_blanks(begins)):
            return
        found = "an HDF5 file" if head.startswith(HDF5[:4]) else "another kind of file"
    raise UsageError(
        f"this file exists and is not {what}, but {found}: it is not replaced",
        path=path,
        hint="choose another place, or add --force",
    )


def _without_blanks(text: bytes) -> bytes:
    """However a person or an editor has laid it out."""
    return b"".join(text.split())


def refuse_input(path: Path, *, inputs: Iterable[Path | None]) -> None:
    """Raise UsageError where ``path`` is one of the files and folders that the command reads, by whatever name."""
    for read in inputs:
        if read is not None and path.exists() and read.exists() and path.samefile(read):
            raise UsageError("this is what the command reads: it is never written over", path=path)


@contextmanager
def filling(folder: Path) -> Generator[Path]:
    """Yield a place inside an empty or new folder; when the block ends well, what lies there is moved into the folder.

    Raises UsageError where the folder has something in it already. What a killed run left is no obstacle: it goes.
    """
    place = folder / _UNFINISHED
    found = {inside.name for inside in folder.iterdir()} if folder.is_dir() else set[str]()
    if found - {_UNFINISHED, LOCK_NAME} or (folder.exists() and not folder.is_dir()):
        raise UsageError("expected an empty folder, or none", path=folder, hint="choose another --out")
    with folder_lock(folder):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            yield place
            flush_file_system(place)
            # folders first: the table of an export comes last
            for inside in sorted(place.iterdir(), key=lambda path: (path.is_file(), path.name)):
                inside.rename(folder / inside.name)
        finally:
            shutil.rmtree(place, ignore_errors=True)
