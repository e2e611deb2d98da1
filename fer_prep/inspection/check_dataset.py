"""Checks of an HDF5 dataset: is it whole, is it what its digests say, and what should its user know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.schema import statistics_shapes
from fer_prep.dataset.statistics import pixel_statistics
from fer_prep.digests import pixel_digest
from fer_prep.emotions import LABEL_SOURCES
from fer_prep.errors import DatasetFileError
from fer_prep.findings import CheckReport
from fer_prep.folds.protocols import recordings_of
from fer_prep.inspection.confounding import describe_confounding
from fer_prep.inspection.near_duplicates import SIDE, fingerprint_of, near_duplicates
from fer_prep.inspection.statistics import views_of
from fer_prep.look_alikes import look_alikes
from fer_prep.progress import Progress, silent
from fer_prep.sample import view_suffix

LOW_COVERAGE: Final = 0.05
"""A face with depth on a smaller share of its pixels than this is hardly one."""
SHARES_APART: Final = 1e-3
"""How far from 1 the annotators' shares of a sample may add up."""


def check_dataset(path: Path, *, deep: bool = False, progress: Progress = silent) -> CheckReport:
    """Schema, labels, digests, ranges, classes, confounding; with ``deep`` every pixel and near-duplicates."""
    report = CheckReport(path=str(path), kind="dataset")
    try:
        data = DatasetFile.open(path)
    except DatasetFileError as error:
        if not path.is_file():
            raise
        report.add("error", "schema", error.message + (f" ({error.hint})" if error.hint else ""))
        return report
    with data:
        stored = " and ".join(data.modalities)
        text = f"{data.n} samples of {data.width}×{data.height}, {stored}, written by {data.created_by}"
        report.add("ok", "schema", text)
        check_table(data, report)
        check_sequences(data, report)
        check_landmarks(data, report)
        check_coverage(data, report)
        if data.column("label").max(initial=0) < len(data.classes):
            describe_confounding(data, report)
        if deep:
            check_pixels(data, report, progress=progress)
        else:
            report.add("note", "pixels", "not read; --deep compares every byte with its digest")
    return report


def check_table(data: DatasetFile, report: CheckReport) -> None:
    """Ids, names and labels are those of the contract, and the file's digest is that of its rows."""
    ids, labels = data.ids, data.column("label")
    problems = 0
    for what, wrong in (
        ("ids", _doubles(ids.tolist())),
        ("ids", tuple(ids[1:][ids[1:] < ids[:-1]].tolist())),
        ("names", _misnamed(data)),
        ("labels", tuple(ids[labels >= len(data.classes)].tolist())),
        ("label source", tuple(ids[~np.isin(data.column("label_source"), LABEL_SOURCES)].tolist())),
        ("intensity", tuple(ids[data.column("intensity") > 4].tolist())),
    ):
        if wrong:
            problems += 1
            report.add("error", what, f"{len(wrong)} samples are not as the format says", wrong)
    try:
        data.verify_tables()
    except DatasetFileError as error:
        problems += 1
        report.add("error", "digest", str(error))
    if not problems:
        report.add("ok", "table", f"{len(set(data.column('subject')))} subjects; ids, labels and digest fit")
    counts = Counter(labels.tolist())
    absent = [name for label, name in enumerate(data.classes) if not counts[label]]
    if absent:
        report.add("warning", "classes", f"no sample of {', '.join(absent)}")
    check_names(data.column("subject").tolist(), data.classes, report)
    _check_identical(data, report)


def check_names(subjects: Iterable[str], classes: Iterable[str], report: CheckReport) -> None:
    """Nobody and no class is there in two spellings: one of them would be trained on, the other validated."""
    alike = (*look_alikes(set(subjects)), *look_alikes(classes))
    if alike:
        text = f"{len(alike)} names in several spellings (case, leading zeros, blanks, accents): are they one?"
        report.add("error", "names alike", text, alike)


def _doubles(values: list[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name, count in Counter(values).items() if count > 1))


def _misnamed(data: DatasetFile) -> tuple[str, ...]:
    """Ids and subjects that do not begin with their dataset's name."""
    return tuple(
        name
        for name, subject, dataset in zip(data.ids, data.column("subject"), data.column("dataset"), strict=True)
        if not (name.startswith(f"{dataset}/") and subject.startswith(f"{dataset}:"))
    )


def _check_identical(data: DatasetFile, report: CheckReport) -> None:
    """The same pixels twice: harmless under one label of one person, wrong otherwise."""
    first: dict[str, int] = {}
    subjects, labels = data.column("subject"), data.column("label")
    pairs: dict[str, list[str]] = {"error": [], "warning": []}
    for row, digest in enumerate(data.column("digest").tolist()):
        other = first.setdefault(digest, row)
        if other != row:
            contradict = subjects[row] != subjects[other] or labels[row] != labels[other]
            pairs["error" if contradict else "warning"].append(f"{data.ids[other]} = {data.ids[row]}")
    if pairs["error"]:
        text = f"{len(pairs['error'])} pairs of equal pixels under different subjects or labels"
        report.add("error", "duplicates", text, tuple(pairs["error"]))
    if pairs["warning"]:
        report.add("warning", "duplicates", f"{len(pairs['warning'])} pairs of equal samples", tuple(pairs["warning"]))


def check_sequences(data: DatasetFile, report: CheckReport) -> None:
    """Clips, views and the annotators' shares are what the format says of them."""
    ids, clips, recordings = data.ids.tolist(), data.column("clip").tolist(), recordings_of(data).tolist()
    turned = views_of(data).tolist()
    subjects, frames = data.column("subject").tolist(), data.column("frame").tolist()
    person = dict(zip(recordings, subjects, strict=True))
    seen: set[tuple[str, int, str]] = set()
    wrong: dict[str, list[str]] = {"views": [], "clips": [], "soft labels": []}
    # what ``--framing frontal`` turned is no further view of its recording
    frontal = {
        each["dataset"] for each in data.settings.get("inputs", ()) if each["settings"].get("framing") == "frontal"
    }
    turns = zip(data.column("yaw_degrees").tolist(), data.column("pitch_degrees").tolist(), strict=True)
    rows = zip(ids, clips, recordings, frames, turned, subjects, turns, strict=True)
    for name, clip, recording, frame, view, subject, turn in rows:
        if view != view_suffix(*turn) and (view or name.partition("/")[0] not in frontal):
            wrong["views"].append(name)
        if clip and (person[recording] != subject or (recording, frame, view) in seen):
            wrong["clips"].append(name)
        seen.add((recording, frame, view))
    if (soft := data.soft_labels) is not None:
        fits = (soft >= 0).all(axis=1) & (np.abs(soft.sum(axis=1) - 1) < SHARES_APART)  # NaN does not fit
        wrong["soft labels"] = data.ids[~fits].tolist()
    for what, names in wrong.items():
        if names:
            report.add("error", what, f"{len(names)} samples are not as the format says", tuple(names))
    in_clips, views = sum(map(bool, clips)), sum(map(bool, turned))
    if in_clips or views:
        text = f"{len(set(recordings))} recordings and clips; {in_clips} samples are frames of clips, {views} are views"
        report.add("ok", "sequences", text)


def check_landmarks(data: DatasetFile, report: CheckReport) -> None:
    """Every scheme: how many samples have it; a point is known whole or not at all."""
    for scheme in data.landmark_schemes:
        landmarks = data.landmarks(scheme)
        tables = [table for table in (landmarks.points_px, landmarks.points_mm) if table is not None]
        torn = sum(np.isnan(table).any(axis=2) != np.isnan(table).all(axis=2) for table in tables)
        names = data.ids[np.asarray(torn).any(axis=1)]
        if len(names):
            text = f"{len(names)} samples with points of which only some coordinates are known"
            report.add("error", f"landmarks {scheme}", text, tuple(names.tolist()))
        known = int(np.isfinite(landmarks.points_px).any(axis=(1, 2)).sum())
        report.add("ok", f"landmarks {scheme}", f"{len(landmarks.names)} points in {known} of {data.n} samples")


def check_coverage(data: DatasetFile, report: CheckReport) -> None:
    """Depth is there, and the eyes are inside the picture."""
    if "depth" in data.modalities:
        coverage = data.statistic("valid_pixels") / np.maximum(data.statistic("pixels"), 1)
        without, low = data.ids[coverage == 0], data.ids[(coverage > 0) & (coverage < LOW_COVERAGE)]
        if len(without):
            report.add("warning", "depth", f"{len(without)} samples without any depth", tuple(without.tolist()))
        if len(low):
            text = f"{len(low)} samples with depth on less than {LOW_COVERAGE:.0%} of the picture"
            report.add("warning", "depth", text, tuple(low.tolist()))
        report.add("ok", "coverage", f"depth on {coverage.mean():.0%} of the pixels, {coverage.min():.0%} at least")
    eyes = np.stack([data.column("left_eye"), data.column("right_eye")], axis=1)
    outside = ((eyes < 0) | (eyes > [data.width, data.height])).any(axis=(1, 2))
    if outside.any():
        ids = tuple(data.ids[outside].tolist())
        report.add("warning", "eyes", f"{len(ids)} samples with an eye outside the picture", ids)


def check_pixels(data: DatasetFile, report: CheckReport, *, progress: Progress = silent) -> None:
    """Read every byte: digests, statistics, and pictures that are nearly the same under different subjects."""
    digests, flipped, miscounted = data.column("digest"), list[str](), list[str]()
    prints: list[NDArray[np.float32]] = []
    with progress("reading every pixel", total=data.n) as advance:
        for row in range(data.n):
            try:
                stored = data.read_sample(row)
            except DatasetFileError as error:
                flipped.append(f"{data.ids[row]} ({error.message})")
                prints.append(np.zeros((SIDE, SIDE), np.float32))
                continue
            rgb, depth = stored.get("rgb"), stored.get("depth")
            if pixel_digest(rgb, depth) != digests[row]:
                flipped.append(str(data.ids[row]))
            elif any(
                (data.statistic(name)[row] != value).any() for name, value in pixel_statistics(rgb, depth).items()
            ):
                miscounted.append(str(data.ids[row]))
            prints.append(fingerprint_of(rgb, depth))
            advance(1)
    if flipped:
        report.add("error", "pixels", f"{len(flipped)} samples are damaged: digest does not fit", tuple(flipped))
    if miscounted:
        sums = len(statistics_shapes(data.modalities))
        text = f"{len(miscounted)} samples whose {sums} sums are not those of their pixels"
        report.add("error", "statistics", text, tuple(miscounted))
    if not flipped and not miscounted:
        report.add("ok", "pixels", "every sample has the pixels and sums it was written with")
    subjects, ids = data.column("subject"), data.ids
    pairs = [(a, b) for a, b in near_duplicates(np.stack(prints)) if subjects[a] != subjects[b]]
    if pairs:
        named = tuple(f"{ids[a]} ~ {ids[b]}" for a, b in pairs)
        text = f"{len(pairs)} pairs of nearly equal pictures under different subjects: one person twice?"
        report.add("warning", "near-duplicates", text, named)
