"""Checks of a fold manifest against its data: does it fit, what leaks, are the folds alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FoldsError, UsageError
from fer_prep.findings import CheckReport
from fer_prep.folds.splits import FoldManifest, read_folds, subjects_on_both_sides, validate
from fer_prep.inspection.near_duplicates import fingerprint_of, near_duplicates
from fer_prep.progress import Progress, silent


def dataset_of(manifest: Path) -> Path:
    """The dataset that lies beside a manifest: ``global.h5`` for ``global.folds.json``, else the only one there."""
    stem = manifest.name.removesuffix(".json").removesuffix(".folds")
    for candidate in (manifest.with_name(f"{stem}.h5"), manifest.with_name("global.h5")):
        if candidate.is_file():
            return candidate
    raise UsageError("the dataset of this manifest is not beside it", path=manifest, hint="name it with --data")


def check_folds(
    path: Path, *, data: Path | None = None, deep: bool = False, progress: Progress = silent
) -> CheckReport:
    """Schema, fit and leaks of a manifest; with ``deep`` also nearly equal pictures on both sides."""
    report = CheckReport(path=str(path), kind="fold manifest")
    try:
        manifest = read_folds(path)
    except FoldsError as error:
        return _refused(report, error)
    with DatasetFile.open(data or dataset_of(path)) as opened:
        try:
            validate(manifest, opened)
        except FoldsError as error:
            return _refused(report, error)
        report.add("ok", "manifest", f"{manifest.protocol}: {len(manifest.folds)} folds that fit {opened.path.name}")
        _check_subjects(manifest, opened, report)
        _check_sizes(manifest, opened, report)
        if deep:
            _check_near_duplicates(manifest, opened, report, progress=progress)
    return report


def _refused(report: CheckReport, error: FoldsError) -> CheckReport:
    report.add("error", "manifest", error.message + (f" ({error.hint})" if error.hint else ""))
    return report


def _check_subjects(manifest: FoldManifest, data: DatasetFile, report: CheckReport) -> None:
    shared = subjects_on_both_sides(manifest, data)
    if any(shared):
        named = tuple(f"fold {number}: {count}" for number, count in enumerate(shared) if count)
        report.add("warning", "subjects", "people are trained on and validated, as this protocol has it", named)
    else:
        report.add("ok", "subjects", "nobody is on both sides of a fold")


def _check_sizes(manifest: FoldManifest, data: DatasetFile, report: CheckReport) -> None:
    """Sizes, and how few samples of a class the smallest validation set has."""
    labels = data.labels_within(manifest.classes)
    sizes = [len(fold.val) for fold in manifest.folds]
    smallest = min(
        (int(count), number, manifest.classes[label])
        for number, fold in enumerate(manifest.folds)
        for label, count in enumerate(np.bincount(labels[data.rows_of(fold.val)], minlength=len(manifest.classes)))
    )
    text = f"{min(sizes)} to {max(sizes)} validation samples; fewest of a class: {smallest[0]} of {smallest[2]}"
    report.add("warning" if smallest[0] < 5 else "ok", "sizes", f"{text} in fold {smallest[1]}")
    used = {name for fold in manifest.folds for name in (*fold.train, *fold.val)}
    if len(used) < data.n:
        report.add("note", "selection", f"{data.n - len(used)} of {data.n} samples take no part")


def _check_near_duplicates(
    manifest: FoldManifest, data: DatasetFile, report: CheckReport, *, progress: Progress
) -> None:
    with progress("comparing pictures", total=data.n) as advance:
        prints: list[NDArray[np.float32]] = []
        for row in range(data.n):
            stored = data.read_sample(row)
            prints.append(fingerprint_of(stored.get("rgb"), stored.get("depth")))
            advance(1)
    pairs = near_duplicates(np.stack(prints))
    crossing: list[str] = []
    for number, fold in enumerate(manifest.folds):
        train, val = set(fold.train), set(fold.val)
        for a, b in pairs:
            first, second = str(data.ids[a]), str(data.ids[b])
            if (first in train and second in val) or (second in train and first in val):
                crossing.append(f"fold {number}: {first} ~ {second}")
    if crossing:
        text = f"{len(crossing)} pairs of nearly equal pictures, one trained on and one validated"
        report.add("warning", "near-duplicates", text, tuple(crossing))
    else:
        report.add("ok", "near-duplicates", f"{len(pairs)} pairs of nearly equal pictures, none across a fold")
