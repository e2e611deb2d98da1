"""The files of a raw tree one by one: empty, damaged, copied, or not fitting together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from fer_prep.digests import file_digest
from fer_prep.errors import FerError, FormatError
from fer_prep.findings import CheckReport
from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.bnt import read_bnt
from fer_prep.formats.bosphorus_landmarks import read_lm2, read_lm3
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.formats.vrml import read_vrml
from fer_prep.progress import Progress
from fer_prep.sample import Sample
from fer_prep.sources import Source
from fer_prep.sources.raw_tree import RawTree
from fer_prep.sources.read_file import read_file

_READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    ".wrl": read_vrml,
    ".bnd": read_bnd,
    ".bnt": read_bnt,
    ".lm2": read_lm2,
    ".lm3": read_lm3,
    ".bmp": read_rgb,
    ".png": read_rgb,
    ".jpg": read_rgb,
    ".jpeg": read_rgb,
}


def add_empty_files(report: CheckReport, files: RawTree) -> None:
    """Report files of known formats that hold nothing; reads no file."""
    empty: list[str] = []
    for path in files.files:
        try:
            if (files.root / path).stat().st_size == 0 and _reader_of(path):
                empty.append(path)
        except OSError as error:
            empty.append(f"{path} ({error.strerror})")
    if empty:
        report.add("error", "damaged", f"{len(empty)} files are empty or cannot be looked at", tuple(empty))


def _reader_of(path: str) -> Callable[[bytes], Any] | None:
    name = path.lower()
    if name.endswith("_depth.png"):
        return read_depth
    return _READERS.get(Path(name).suffix)


def add_damaged(report: CheckReport, files: RawTree, *, progress: Progress) -> None:
    """Read every file whose format is known, and report those that are not what they claim to be."""
    damaged: list[str] = []
    readable = [(path, reader) for path in files.files if (reader := _reader_of(path))]
    with progress("reading every file", total=len(readable), unit="files") as advance:
        for path, reader in readable:
            try:
                read_file(files.root / path, reader=reader)
            except FormatError as error:
                damaged.append(f"{path} (expected {error.expected}; found {error.found})")
            except OSError as error:
                damaged.append(f"{path} ({error.strerror})")
            advance(1)
    text = f"{len(damaged) or 'none'} of {len(readable)} files read"
    report.add("error" if damaged else "ok", "damaged", text, tuple(damaged))


def add_unfit(report: CheckReport, samples: Sequence[Sample], *, source: Source, progress: Progress) -> None:
    """Recordings of the same bytes under different names, and recordings whose parts do not fit together."""
    same: dict[str, list[str]] = defaultdict(list)
    unfit: list[str] = []
    with progress("looking for copies", total=len(samples)) as advance:
        for sample in samples:
            try:
                same[file_digest(sample.files[_main_role(sample)])].append(sample.source_file)
                source.load(sample)
            except FerError as error:
                unfit.append(f"{sample.source_file} (expected {error.expected}; found {error.found})")
            except OSError as error:
                unfit.append(f"{sample.source_file} ({error.strerror})")
            advance(1)
    copies = tuple(" = ".join(paths) for paths in same.values() if len(paths) > 1)
    report.add("warning" if copies else "ok", "copies", f"{len(copies) or 'no'} files under several names", copies)
    report.add(
        "error" if unfit else "ok", "unusable", f"{len(unfit) or 'no'} recordings that load wrongly", tuple(unfit)
    )


def _main_role(sample: Sample) -> str:
    return next(role for role in ("mesh", "grid", "rgb") if role in sample.files)
