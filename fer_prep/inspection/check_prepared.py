"""Is a prepared folder complete, and as it was prepared?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fer_prep.digests import file_digest, pixel_digest
from fer_prep.errors import FormatError, PreparedFolderError
from fer_prep.findings import CheckReport
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.inspection.check_dataset import check_names
from fer_prep.prepare.folder import SAMPLES, SUMMARY, PreparedFolder, files_of, sample_file
from fer_prep.prepare.parts import PART
from fer_prep.regular_files import read_bytes


def check_prepared(path: Path, *, deep: bool = False) -> CheckReport:
    """Whether a prepared folder is complete; with ``deep`` every pixel is read and compared with its digest.

    Raises PreparedFolderError where there is no whole prepared folder to look at.
    """
    folder = PreparedFolder.open(path)
    report = CheckReport(path=str(path), kind="prepared folder")
    _check_tables(folder, report)
    check_names([row["subject"] for row in folder.rows], folder.classes, report)
    _check_files(folder, [_name(row["id"]) for row in folder.rows], report)
    if deep:
        _check_pixels(folder, report)
    _add_notes(folder, report)
    return report


def _name(sample_id: str) -> str:
    return sample_id.split("/", 1)[1]


def _check_tables(folder: PreparedFolder, report: CheckReport) -> None:
    """Tables as ``prepared.json`` describes them, and consistent in themselves."""
    tables = folder.summary["tables"]
    changed = [name for name in tables if not _has_digest(folder.path / name, tables[name])]
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
    try:
        schemes = ", ".join(folder.landmarks) or "none"
    except PreparedFolderError as error:
        report.add("error", "landmarks", error.message, (str(error.path),))
    else:
        report.add("ok", "landmarks", schemes)
    if not changed and not doubles and len(rows) == counted:
        report.add("ok", "tables", f"{len(rows)} samples, as {SUMMARY} says")


def _check_files(folder: PreparedFolder, names: list[str], report: CheckReport) -> None:
    """Exactly the files that the table names."""
    complete = True
    for modality in folder.modalities:
        expected = {sample_file(folder.path, modality, name) for name in names}
        found = set(files_of(folder.path, modality).glob("*"))
        missing = tuple(sorted(file.relative_to(folder.path).as_posix() for file in expected - found))
        strange = tuple(sorted(file.relative_to(folder.path).as_posix() for file in found - expected))
        if missing:
            report.add("error", "missing files", f"{len(missing)} of {len(expected)} in {modality}/", missing)
        if strange:
            report.add("warning", "other files", f"{len(strange)} in {modality}/ that {SAMPLES} does not name", strange)
        complete = complete and not missing
    if complete:
        report.add("ok", "files", f"{len(folder.modalities) * len(names)} pictures are there")


def _check_pixels(folder: PreparedFolder, report: CheckReport) -> None:
    """Every picture decodes to the pixels that were prepared."""
    damaged: list[str] = []
    for row in folder.rows:
        name = _name(row["id"])
        try:
            rgb = read_rgb(read_bytes(folder.rgb_path(name))) if "rgb" in folder.modalities else None
            depth = read_depth(read_bytes(folder.depth_path(name))) if "depth" in folder.modalities else None
        except (OSError, FormatError) as error:
            damaged.append(f"{row['id']}: {error}")
            continue
        if pixel_digest(rgb, depth) != row["digest"]:
            damaged.append(f"{row['id']}: other pixels than were prepared")
    if damaged:
        report.add("error", "pixels", f"{len(damaged)} samples are damaged", tuple(damaged))
    else:
        report.add("ok", "pixels", "every sample has the pixels that were prepared")


def _add_notes(folder: PreparedFolder, report: CheckReport) -> None:
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
