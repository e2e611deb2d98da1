"""Reading a prepared folder: what merging, checking and browsing know of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fer_prep.digests import file_digest, pixel_digest
from fer_prep.errors import FormatError, PreparedFolderError
from fer_prep.findings import CheckReport
from fer_prep.prepare.files import (
    DEPTH,
    FORMAT,
    FORMAT_VERSION,
    LEFT_OUT,
    REJECTED,
    RGB,
    SAMPLES,
    SUMMARY,
    TABLES,
    depth_path,
    read_rejections,
    read_samples,
    rgb_path,
)
from fer_prep.prepare.parts import PART
from fer_prep.prepare.records import JOURNAL_NAME
from fer_prep.sample import Rejection
from fer_prep.samples_table import Row


@dataclass(frozen=True, kw_only=True)
class PreparedFolder:
    """A whole prepared folder; make it with ``open``."""

    path: Path
    summary: Mapping[str, Any]
    """The content of ``prepared.json``."""

    @classmethod
    def open(cls, path: Path) -> PreparedFolder:
        """Open a folder; raises PreparedFolderError where it is half done, of another version or something else."""
        return cls(path=path, summary=_read_summary(path))

    @property
    def dataset(self) -> str:
        """``bu3dfe``, ``bosphorus`` …"""
        return self.summary["dataset"]

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it was prepared: ``size``, ``framing``, ``mask``, ``landmarks``, ``unfound`` and the ``source``'s own."""
        return self.summary["settings"]

    @property
    def digest(self) -> str:
        """Digest over the (sample digest, label) pairs: what a dataset of exactly these samples has."""
        return self.summary["digest"]

    @cached_property
    def rows(self) -> list[Row]:
        """The samples, sorted by id."""
        return read_samples(self.path / SAMPLES)

    @cached_property
    def rejections(self) -> list[Rejection]:
        """What could not be prepared, and why."""
        return read_rejections(self.path / REJECTED)

    @cached_property
    def left_out(self) -> list[Rejection]:
        """What the label policy does not use, and why."""
        return read_rejections(self.path / LEFT_OUT)

    def rgb_path(self, name: str) -> Path:
        """The colour picture of a sample (``name`` is its id without the dataset)."""
        return rgb_path(self.path, name)

    def depth_path(self, name: str) -> Path:
        """The 16-bit depth of a sample."""
        return depth_path(self.path, name)


def verify(path: Path, *, deep: bool = False) -> CheckReport:
    """Whether a prepared folder is complete; with ``deep`` every pixel is read and compared with its digest.

    Raises PreparedFolderError where there is no whole prepared folder to look at.
    """
    folder = PreparedFolder.open(path)
    report = CheckReport(path=str(path), kind="prepared folder")
    _verify_tables(folder, report)
    names = [row["id"].split("/", 1)[1] for row in folder.rows]
    _verify_files(folder, names, report)
    if deep:
        _verify_pixels(folder, report)
    _notes(folder, report)
    return report


def _verify_tables(folder: PreparedFolder, report: CheckReport) -> None:
    """Tables as ``prepared.json`` describes them, and consistent in themselves."""
    changed = [name for name in TABLES if not _has_digest(folder.path / name, folder.summary["tables"][name])]
    if changed:
        report.add("error", "tables", "missing, or changed since the folder was prepared", tuple(changed))
    rows = folder.rows
    ids = [row["id"] for row in rows]
    doubles = sorted(sample_id for sample_id, times in Counter(ids).items() if times > 1)
    if doubles:
        report.add("error", "tables", "the same sample more than once", tuple(doubles))
    counted = folder.summary["counts"]["samples"]
    if len(rows) != counted:
        report.add("error", "tables", f"{len(rows)} samples in {SAMPLES}; {SUMMARY} says {counted}")
    if not changed and not doubles and len(rows) == counted:
        report.add("ok", "tables", f"{len(rows)} samples, as {SUMMARY} says")


def _verify_files(folder: PreparedFolder, names: list[str], report: CheckReport) -> None:
    """Exactly the files that the table names."""
    complete = True
    for part, place in ((RGB, folder.rgb_path), (DEPTH, folder.depth_path)):
        expected = {place(name) for name in names}
        found = set((folder.path / part).glob("*"))
        missing = tuple(sorted(file.relative_to(folder.path).as_posix() for file in expected - found))
        strange = tuple(sorted(file.relative_to(folder.path).as_posix() for file in found - expected))
        if missing:
            report.add("error", "missing files", f"{len(missing)} of {len(expected)} in {part}/", missing)
        if strange:
            report.add("warning", "other files", f"{len(strange)} in {part}/ that {SAMPLES} does not name", strange)
        complete = complete and not missing
    if complete:
        report.add("ok", "files", f"{2 * len(names)} pictures are there")


def _verify_pixels(folder: PreparedFolder, report: CheckReport) -> None:
    """Every picture decodes to the pixels that were prepared."""
    from fer_prep.formats.images import read_depth, read_rgb

    damaged: list[str] = []
    for row in folder.rows:
        name = row["id"].split("/", 1)[1]
        try:
            rgb = read_rgb(folder.rgb_path(name).read_bytes())
            depth = read_depth(folder.depth_path(name).read_bytes())
        except (OSError, FormatError) as error:
            damaged.append(f"{row['id']}: {error}")
            continue
        if pixel_digest(rgb, depth) != row["digest"]:
            damaged.append(f"{row['id']}: other pixels than were prepared")
    if damaged:
        report.add("error", "pixels", f"{len(damaged)} samples are damaged", tuple(damaged))
    else:
        report.add("ok", "pixels", "every sample has the pixels that were prepared")


def _notes(folder: PreparedFolder, report: CheckReport) -> None:
    if part := folder.summary.get(PART):
        report.add("note", "part", f"part {part['index']} of {part['of']}: merging needs all of them")
    rejected = tuple(f"{r.source_file}: expected {r.expected}; found {r.found}" for r in folder.rejections)
    if rejected:
        report.add("note", "rejected", f"{len(rejected)} recordings could not be prepared", rejected)


def _has_digest(path: Path, digest: str) -> bool:
    try:
        return file_digest(path) == digest
    except OSError:
        return False


def _read_summary(path: Path) -> Mapping[str, Any]:
    """``prepared.json`` of a whole folder of this format and version."""
    if not path.is_dir():
        raise PreparedFolderError(
            expected="a prepared folder", found="a file" if path.exists() else "nothing", path=path, hint=_HOW
        )
    file = path / SUMMARY
    if not file.is_file():
        if (path / JOURNAL_NAME).is_file():
            raise PreparedFolderError(
                "half done: a run was stopped here, or is still going on",
                path=path,
                hint="run the command that prepared it again: it continues",
            )
        raise PreparedFolderError(expected=f"a prepared folder ({SUMMARY})", found="none", path=path, hint=_HOW)
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
        kind, version = summary["format"], summary["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PreparedFolderError(
            expected=f"a {FORMAT} description",
            found=_in_words(error),
            path=file,
            hint="run the command that prepared it again: what is up to date is not made again",
        ) from None
    if kind != FORMAT or version != FORMAT_VERSION:
        newer = kind == FORMAT and isinstance(version, int) and version > FORMAT_VERSION
        raise PreparedFolderError(
            expected=f"{FORMAT} version {FORMAT_VERSION}",
            found=f"{kind} version {version}",
            path=file,
            hint="update fer-rgbd" if newer else "prepare it again with this version",
        )
    return summary


def _in_words(error: Exception) -> str:
    """What is wrong with a description, as a person would say it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"no key {error}" if isinstance(error, KeyError) else f"no JSON object of that kind ({error})"


_HOW = "make one with fer-prep render-bu3dfe, render-bosphorus or align"
