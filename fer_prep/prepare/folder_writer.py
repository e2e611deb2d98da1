"""Writing a prepared folder so that a kill at any moment costs one sample's work and nothing else.

Order of events: the folder is locked; ``prepared.json`` goes as soon as anything is to change; each sample's files get
their names, then its record a line in ``.records.jsonl``; at the end files of samples that are no longer there are
removed, the records (sorted: the same bytes whatever happened on the way) and the tables are written, ``prepared.json``
last. So ``prepared.json`` is there exactly while the folder is whole. Pictures are flushed to the disk all at once,
before the tables: what a power failure makes of them until then is seen by their digests. A line of the records that a
kill cut off is dropped: its sample is made again.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from fer_prep.atomic_files import LEFTOVERS, flush_file_system, publish_file, remove_leftovers, write_atomically
from fer_prep.errors import PreparedFolderError
from fer_prep.folder_lock import LOCK_NAME, folder_lock
from fer_prep.prepare.folder import (
    FORMAT_VERSION,
    KINDS,
    LANDMARKS,
    MARKERS,
    PREVIEW,
    RECORDS,
    SUMMARY,
    files_of,
    sample_file,
)

_RECORDS_FORMAT: Final = "fer-prepared-records"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sample that has been prepared: a line of ``.records.jsonl``."""

    name: str
    key: str
    """Digest of all that its pixels and landmarks depend on."""
    files: Mapping[str, str]
    """Kind of file (``rgb``, ``depth``, ``landmarks``) → digest of what was written."""
    measured: Mapping[str, str] = field(default_factory=dict[str, str])
    """The cells of the samples table that preparation measured."""
    set_right: Mapping[str, str] = field(default_factory=dict[str, str])
    """See ``Scene``."""

    def to_line(self) -> str:
        """One JSON line."""
        return json.dumps(vars(self), sort_keys=True) + "\n"


@contextmanager
def open_for_writing(folder: Path, *, dataset: str) -> Generator[PreparedWriter]:
    """Lock ``folder`` (made if need be) and take up what earlier runs left.

    Raises BusyError where another run has it, PreparedFolderError where it holds something else than this dataset.
    """
    _refuse_foreign(folder)
    with folder_lock(folder):
        _clean(folder)
        known = _known_records(folder, dataset)
        writer = PreparedWriter(folder=folder, dataset=dataset, known=known, earlier=_earlier_summary(folder))
        try:
            if not (folder / SUMMARY).is_file():
                writer.begin_changes()
            yield writer
        finally:
            writer.close()
            _clean(folder)


@dataclass(kw_only=True)
class PreparedWriter:
    """The one process that gives files in a prepared folder their final names; see ``open_for_writing``."""

    folder: Path
    dataset: str
    known: Mapping[str, Record]
    """What earlier runs left, by sample name."""
    earlier: Mapping[str, Any]
    """``prepared.json`` of the last whole run; empty where there is none."""
    _records: IO[str] | None = field(default=None, init=False)

    def begin_changes(self) -> None:
        """Mark the folder half done, once."""
        if self._records is not None:
            return
        path = self.folder / RECORDS
        if not path.is_file():
            write_atomically(path, content=_header(self.dataset))
        is_cut = not path.read_bytes().endswith(b"\n")
        self._records = path.open("a", encoding="utf-8")
        self._records.write("\n" if is_cut else "")
        for name in (SUMMARY, PREVIEW):
            (self.folder / name).unlink(missing_ok=True)

    def publish(self, record: Record, *, staged: Mapping[str, Path]) -> None:
        """Give a prepared sample's staged files (kind → temporary name) their names and remember it."""
        self.begin_changes()
        for kind, file in staged.items():
            publish_file(file, path=sample_file(self.folder, kind, record.name))
        if self._records is None:
            raise ValueError("the writer is closed")
        try:
            self._records.write(record.to_line())
            self._records.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._records.name) from error

    def finish(self, *, records: Iterable[Record], content: Mapping[str, str | bytes]) -> None:
        """Make the folder whole: exactly these samples and these files (name → content, ``prepared.json`` last)."""
        records = sorted(records, key=lambda record: record.name)
        self._remove_orphans(records, tables=content)
        if self._records is not None:
            flush_file_system(self.folder)  # the pictures must be on the disk before a table speaks of them
        lines = _header(self.dataset) + "".join(record.to_line() for record in records)
        for name, text in {RECORDS: lines, **content}.items():
            self._write_if_changed(name, text)
        self.close()

    def close(self) -> None:
        """Let go of the records; a run that ends early leaves them for the next one."""
        if self._records is not None:
            with suppress(OSError):  # a line that cannot be written was reported by ``publish``
                self._records.close()
            self._records = None

    def _remove_orphans(self, records: Iterable[Record], *, tables: Mapping[str, str | bytes]) -> None:
        """Files of samples that are no longer there, and folders of what the dataset no longer has."""
        kept = {sample_file(self.folder, kind, record.name) for record in records for kind in record.files}
        kept |= {self.folder / name for name in tables}
        for place in _places(self.folder):
            for file in [*place.glob("*.png"), *place.glob("*.npz")]:
                if file in kept:
                    continue
                self.begin_changes()
                file.unlink()
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()

    def _write_if_changed(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        data = content.encode() if isinstance(content, str) else content
        if not path.is_file() or path.read_bytes() != data:
            self.begin_changes()
            write_atomically(path, content=data)


def _places(folder: Path) -> list[Path]:
    """The folders inside a prepared one."""
    return [*(files_of(folder, kind) for kind in KINDS), folder / LANDMARKS]


def _refuse_foreign(folder: Path) -> None:
    """Only an empty folder or one of ours is written to: files are replaced and removed in it."""
    if folder.is_file():
        raise PreparedFolderError("is a file, not a folder", path=folder, hint="choose another --out")
    if not folder.is_dir() or any((folder / name).is_file() for name in MARKERS):
        return
    others = [p.name for p in folder.iterdir() if p.name != LOCK_NAME and not p.match(LEFTOVERS)]
    if others:
        raise PreparedFolderError(
            expected="an empty or a prepared folder",
            found=f"other files ({', '.join(sorted(others)[:3])} …)",
            path=folder,
            hint="choose another --out: files of a prepared folder are replaced and removed",
        )


def _header(dataset: str) -> str:
    """The first line of the records: whose they are."""
    return json.dumps({"dataset": dataset, "format": _RECORDS_FORMAT, "version": FORMAT_VERSION}) + "\n"


def _known_records(folder: Path, dataset: str) -> dict[str, Record]:
    """Records of the last whole run and of those that were cut off after it; later lines win."""
    lines = _lines_of(folder / RECORDS)
    owner = next((header.get("dataset", dataset) for header in lines[:1]), dataset)
    if owner != dataset:
        raise PreparedFolderError(
            expected=f"samples of {dataset}", found=f"samples of {owner}", path=folder, hint="choose another --out"
        )
    known: dict[str, Record] = {}
    for line in lines[1:]:
        with suppress(TypeError):  # of another version: prepared again
            record = Record(**line)
            known[record.name] = record
    return known


def _lines_of(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a records file that are JSON objects; the first is its header."""
    if not path.is_file():
        return []
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        with suppress(ValueError):
            value = json.loads(line) if line.endswith("\n") else None
            if isinstance(value, dict):
                found.append(value)
    return found


def _earlier_summary(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is only ever compared with: an unreadable one is written anew


def _clean(folder: Path) -> None:
    """Remove what killed runs left half written."""
    for place in (folder, *_places(folder)):
        remove_leftovers(place)
