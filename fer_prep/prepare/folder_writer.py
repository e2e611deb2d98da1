"""Writing a prepared folder so that a kill at any moment costs one sample's work and nothing else.

Order of events: the folder is locked; ``.journal.jsonl`` appears and ``prepared.json`` goes as soon as anything is to
change; each sample's two files get their names, then its record a line in the journal; at the end files of samples
that are no longer there are removed, the tables and ``.records.jsonl`` are written, ``prepared.json`` last, and the
journal goes. So ``prepared.json`` is there exactly while the folder is whole. Pictures are flushed to the
disk all at once, before the tables: what a power failure makes of them until then is seen by their digests.
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
from fer_prep.prepare.files import DEPTH, PREVIEW, RGB, SUMMARY, depth_path, rgb_path
from fer_prep.prepare.records import JOURNAL_NAME, RECORDS_NAME, Record, header_line, read_records, records_text

_MARKERS: Final = (SUMMARY, JOURNAL_NAME, RECORDS_NAME)


@contextmanager
def open_for_writing(folder: Path, *, dataset: str) -> Generator[PreparedWriter]:
    """Lock ``folder`` (made if need be) and take up what earlier runs left.

    Raises PreparedFolderError where another run has it, or where it holds something else than this dataset.
    """
    _refuse_foreign(folder)
    with folder_lock(folder):
        _clean(folder)
        known = _known_records(folder, dataset)
        writer = PreparedWriter(folder=folder, dataset=dataset, known=known, earlier=_earlier_summary(folder))
        try:
            if not (folder / SUMMARY).is_file():
                writer.begin_changes()
            for part in (RGB, DEPTH):
                (folder / part).mkdir(exist_ok=True)
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
    _journal: IO[str] | None = field(default=None, init=False)

    def begin_changes(self) -> None:
        """Mark the folder half done, once."""
        if self._journal is not None:
            return
        path = self.folder / JOURNAL_NAME
        if not path.is_file():
            write_atomically(path, content=header_line(self.dataset))
        _end_cut_line(path)
        self._journal = path.open("a", encoding="utf-8")
        for name in (SUMMARY, PREVIEW):
            (self.folder / name).unlink(missing_ok=True)

    def publish(self, record: Record, *, rgb: Path, depth: Path) -> None:
        """Give a prepared sample's two staged files their names and remember it."""
        self.begin_changes()
        publish_file(rgb, path=rgb_path(self.folder, record.name))
        publish_file(depth, path=depth_path(self.folder, record.name))
        self._append(record.to_line())

    def finish(self, *, records: Iterable[Record], texts: Mapping[str, str]) -> None:
        """Make the folder whole: exactly these samples, and these tables (file name → text, ``prepared.json`` last)."""
        records = list(records)
        self._remove_orphans({record.name for record in records})
        if self._journal is not None:
            flush_file_system(self.folder)  # the pictures must be on the disk before a table speaks of them
        self._write_if_changed(RECORDS_NAME, records_text(self.dataset, records))
        for name, text in texts.items():
            self._write_if_changed(name, text)
        self.close()
        (self.folder / JOURNAL_NAME).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the journal; a run that ends early leaves it for the next one."""
        if self._journal is not None:
            with suppress(OSError):  # a line that cannot be written was reported by ``_append``
                self._journal.close()
            self._journal = None

    def _append(self, line: str) -> None:
        if self._journal is None:
            raise ValueError("begin_changes comes first")
        try:
            self._journal.write(line)
            self._journal.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._journal.name) from error

    def _remove_orphans(self, names: set[str]) -> None:
        for part in (RGB, DEPTH):
            for file in (self.folder / part).glob("*.png"):
                if file.stem not in names:
                    self.begin_changes()
                    file.unlink()

    def _write_if_changed(self, name: str, text: str) -> None:
        path = self.folder / name
        if not path.is_file() or path.read_bytes() != text.encode():
            self.begin_changes()
            write_atomically(path, content=text)


def _refuse_foreign(folder: Path) -> None:
    """Only an empty folder or one of ours is written to: files are replaced and removed in it."""
    if folder.is_file():
        raise PreparedFolderError("is a file, not a folder", path=folder, hint="choose another --out")
    if not folder.is_dir() or any((folder / name).is_file() for name in _MARKERS):
        return
    others = [p.name for p in folder.iterdir() if p.name != LOCK_NAME and not p.match(LEFTOVERS)]
    if others:
        raise PreparedFolderError(
            expected="an empty or a prepared folder",
            found=f"other files ({', '.join(sorted(others)[:3])} …)",
            path=folder,
            hint="choose another --out: files of a prepared folder are replaced and removed",
        )


def _known_records(folder: Path, dataset: str) -> dict[str, Record]:
    """Records of the last whole run and of those that were cut off after it."""
    known: dict[str, Record] = {}
    for name in (RECORDS_NAME, JOURNAL_NAME):
        owner, records = read_records(folder / name)
        if owner not in (None, dataset):
            raise PreparedFolderError(
                expected=f"samples of {dataset}", found=f"samples of {owner}", path=folder, hint="choose another --out"
            )
        known.update(records)
    return known


def _earlier_summary(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is only ever compared with: an unreadable one is written anew


def _clean(folder: Path) -> None:
    """Remove what killed runs left half written."""
    for place in (folder, folder / RGB, folder / DEPTH):
        remove_leftovers(place)


def _end_cut_line(path: Path) -> None:
    """Close a line that a kill cut off, so that the next record starts on its own."""
    if not path.read_bytes().endswith(b"\n"):
        with path.open("ab") as stream:
            stream.write(b"\n")
