"""Every error a user can meet, as one tree.

::

    FerError                     base: what was expected, what was found, in which file
    ├── UsageError               options that contradict each other, a place that is not there
    ├── InstallationError        a package, a library or a part of this program that the machine lacks
    ├── SettingsError            a file of settings that cannot be used: fer.toml, a policy, a preset
    ├── BusyError                a folder or file that another run or program is writing
    ├── FormatError              bytes that are not the format they claim to be (one file)
    ├── SampleError              one sample cannot be prepared: it is rejected, the batch goes on
    ├── PreparedFolderError      a prepared folder that is half done or foreign
    ├── DatasetFileError         an HDF5 file that is not a (whole) fer-rgbd dataset
    ├── FoldsError               a fold manifest that is malformed or made for other data
    ├── RunError                 a run folder that is none, or not finished, or made otherwise
    └── EngineError              worker processes that cannot start, or all of which die

A command that ends with one of these prints its one or two lines and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path


class Reason(StrEnum):
    """Why a recording is no sample: the last column of ``rejected.csv``."""

    NO_FACE = "no-face"
    """No face, or not the landmarks that framing needs."""
    NO_DEPTH = "no-depth"
    NO_COLOUR = "no-colour"
    MISSING_FILE = "missing-file"
    UNREADABLE = "unreadable"
    """A file that cannot be opened, is damaged, or holds something else than its name says."""
    MISMATCH = "mismatch"
    """Files of one recording that do not belong together."""
    IMPLAUSIBLE = "implausible"
    """Readable, but no face could look like that: another unit, an empty picture."""
    BAD_NAME = "bad-name"
    BAD_LABEL = "bad-label"
    DUPLICATE = "duplicate"
    NOT_USED = "not-used"
    """Left out on purpose: a row of ``left_out.csv``."""
    WORKER_DIED = "worker-died"
    INTERNAL = "internal"
    """A fault of this program."""


class FerError(Exception):
    """What went wrong in ``path``: ``expected`` against ``found``, and optionally what to do (``hint``).

    >>> print(UsageError("no such folder", path="data/raw", hint="run fer-prep sample-data"))
    data/raw: no such folder
    run fer-prep sample-data
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: Path | str | None = None,
        expected: str = "",
        found: str = "",
        hint: str = "",
    ) -> None:
        self.path = None if path is None else Path(path)
        self.expected = expected
        self.found = found
        self.hint = hint
        self.message = message or f"expected {expected}; found {found}"
        super().__init__(self.message)

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path is not None else ""
        return f"{where}{self.message}" + (f"\n{self.hint}" if self.hint else "")

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process boundaries, and pickle cannot call constructors with keyword-only arguments."""
        return _rebuild, (type(self), self.__dict__.copy())


def _rebuild(kind: type[FerError], state: dict[str, object]) -> FerError:
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    return error


class UsageError(FerError):
    """Options or places that cannot work as given."""


class InstallationError(FerError):
    """A package, a system library or a part of this program that is not on this machine."""


class SettingsError(FerError):
    """A file of settings that cannot be used."""


class BusyError(FerError):
    """A folder or file that another run or program is writing."""


class FormatError(FerError):
    """Bytes that are not the format they claim to be; always carries ``expected`` and ``found``."""

    def __init__(self, *, expected: str, found: str, path: Path | str | None = None, hint: str = "") -> None:
        super().__init__(path=path, expected=expected, found=found, hint=hint)

    def within(self, path: Path | str) -> FormatError:
        """The same error with the file named: readers of bytes do not know where the bytes came from."""
        return FormatError(path=path, expected=self.expected, found=self.found, hint=self.hint)


class SampleError(FerError):
    """One sample cannot be prepared; ``stage`` says where on the way (read, landmarks, camera, frame)."""

    def __init__(
        self, *, stage: str, reason: Reason, expected: str, found: str, path: Path | str | None = None, hint: str = ""
    ) -> None:
        super().__init__(path=path, expected=expected, found=found, hint=hint)
        self.stage = stage
        self.reason = reason


class PreparedFolderError(FerError):
    """A prepared folder that cannot be used as it is."""


class DatasetFileError(FerError):
    """An HDF5 file that is not a whole, readable fer-rgbd dataset."""


class FoldsError(FerError):
    """A fold manifest that is malformed, leaks, or belongs to other data."""


class RunError(FerError):
    """A run folder or checkpoint that is none, is not finished, or was made with other settings."""


class EngineError(FerError):
    """Worker processes that cannot start on this machine, or all of which die."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known names that are near, for an error about an unknown one; all of them where none is near.

    >>> did_you_mean("subject-kfod", ["subject-kfold", "thesis-5fold"])
    'did you mean subject-kfold?'
    >>> did_you_mean("x", ["demo", "thesis"])
    'known: demo, thesis'
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.7)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
