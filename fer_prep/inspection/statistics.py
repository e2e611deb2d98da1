"""What a dataset holds: counts by everything it can be counted by, measures of its geometry, and what stands out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.csv_tables import write_table
from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.protocols import recordings_of
from fer_prep.inspection.confounding import CORPORA
from fer_prep.progress import Progress, silent

COUNTED: Final = ("dataset", "emotion", "label_source", "action_unit", "intensity", "gender", "ethnicity")
COUNT_COLUMNS: Final = (*COUNTED, "samples", "subjects")

SUBJECT_COLUMNS: Final = ("dataset", "subjects", "female", "male", "unknown", "samples", "each: fewest / median / most")
SEQUENCE_COLUMNS: Final = ("dataset", "samples", "clips", "views", "recordings")
"""A clip is one recording, and so are all views of one."""
LANDMARK_COLUMNS: Final = ("landmarks", "points", "samples in pixels", "samples in mm")

OUTLIER_SCORE: Final = 6.0
"""Samples so many robust standard deviations from their dataset's median stand out."""

_BLOCK: Final = 256

Table = tuple[Sequence[str], list[list[Any]]]
"""Headings and rows."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of every sample."""

    name: str
    unit: str
    values: NDArray[np.float64]
    """(N,), NaN where unknown."""


def emotions_of(data: DatasetFile) -> NDArray[np.str_]:
    """(N,) the emotion name of every sample."""
    return np.array(data.classes)[data.labels]


def crosstab(data: DatasetFile, column: str) -> tuple[list[str], dict[str, list[int]]]:
    """Samples of each class by the values of a column, ``corpus`` or ``view``: the values in order, class → counts."""
    derived = {"corpus": corpora_of, "view": views_of}
    values = derived[column](data) if column in derived else data.column(column).astype(str)
    names = sorted(set(values.tolist()))
    emotions = emotions_of(data)
    return names, {
        emotion: [int(((values == name) & (emotions == emotion)).sum()) for name in names] for emotion in data.classes
    }


def totalled(names: Sequence[str], counts: Mapping[str, list[int]], *, unnamed: str = "unknown") -> Table:
    """A crosstab as a table with its sums; ``unnamed`` is the heading of the empty value."""
    totals = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows = [[name, *numbers, sum(numbers)] for name, numbers in [*counts.items(), ("all", totals)]]
    return ["class", *(name or unnamed for name in names), "all"], rows


def sequences_table(data: DatasetFile) -> list[list[object]]:
    """One row a dataset that has clips or views, as ``SEQUENCE_COLUMNS`` names it."""
    datasets, clips, views, recordings = (
        data.column("dataset"),
        data.column("clip"),
        views_of(data),
        recordings_of(data),
    )
    rows: list[list[object]] = []
    for dataset in np.unique(datasets[(clips != "") | (views != "")]):
        of = datasets == dataset
        in_clips, turned = len(set(clips[of].tolist()) - {""}), int((views[of] != "").sum())
        rows.append([str(dataset), int(of.sum()), in_clips, turned, len(np.unique(recordings[of]))])
    return rows


def landmarks_table(data: DatasetFile) -> list[list[object]]:
    """One row a scheme, as ``LANDMARK_COLUMNS`` names it."""
    sets = {scheme: data.landmarks(scheme) for scheme in data.landmark_schemes}
    return [
        [scheme, len(one.names), *(_known(table) for table in (one.points_px, one.points_mm))]
        for scheme, one in sets.items()
    ]


def _known(points: NDArray[np.float32] | None) -> int:
    """Samples of which any point is known."""
    return 0 if points is None else int(np.isfinite(points).any(axis=(1, 2)).sum())


def subjects_table(data: DatasetFile) -> list[list[object]]:
    """One row a dataset, as ``SUBJECT_COLUMNS`` names it."""
    rows: list[list[object]] = []
    datasets, subjects, genders = data.column("dataset"), data.column("subject"), data.column("gender")
    for dataset in np.unique(datasets):
        of = datasets == dataset
        per_subject = sorted(Counter(subjects[of].tolist()).values())
        gender = dict(zip(subjects[of], genders[of], strict=True))
        signs = Counter(str(sign)[:1].upper() for sign in gender.values())
        middle = per_subject[len(per_subject) // 2]
        spread = f"{per_subject[0]} / {middle} / {per_subject[-1]}"
        people = [len(per_subject), signs["F"], signs["M"], len(gender) - signs["F"] - signs["M"]]
        rows.append([str(dataset), *people, int(of.sum()), spread])
    return rows


def counts_csv(data: DatasetFile) -> str:
    """Samples and subjects for every combination of ``COUNTED`` that occurs, as CSV."""
    columns = [emotions_of(data) if name == "emotion" else data.column(name).astype(str) for name in COUNTED]
    samples: Counter[tuple[str, ...]] = Counter()
    subjects: dict[tuple[str, ...], set[str]] = {}
    for *key, subject in zip(*columns, data.column("subject"), strict=True):
        combination = tuple(str(value) for value in key)
        samples[combination] += 1
        subjects.setdefault(combination, set()).add(str(subject))
    lines = ([*key, count, len(subjects[key])] for key, count in sorted(samples.items()))
    return write_table(COUNT_COLUMNS, lines)


def measures(data: DatasetFile, *, progress: Progress = silent) -> list[Measure]:
    """Coverage, depth range, eye distance, roll, agreement of every sample, where known; reads depth, no colours."""
    eyes = data.column("left_eye").astype(np.float64) - data.column("right_eye")
    distance = np.hypot(eyes[:, 0], eyes[:, 1])
    found: list[Measure] = []
    if "depth" in data.modalities:
        coverage = data.statistic("valid_pixels") / np.maximum(data.statistic("pixels"), 1)
        found.append(Measure(name="depth coverage", unit="%", values=100 * coverage))
        found.append(Measure(name="depth range", unit="mm", values=_depth_range_mm(data, progress)))
    if (soft := data.soft_labels) is not None:
        found.append(Measure(name="annotators' agreement", unit="%", values=100.0 * soft.max(axis=1)))
    return [
        *found,
        Measure(name="eye distance", unit="px", values=distance),
        Measure(name="eye distance", unit="mm", values=distance * data.column("mm_per_pixel")),
        Measure(name="roll removed", unit="°", values=data.column("roll_degrees").astype(np.float64)),
    ]


def _depth_range_mm(data: DatasetFile, progress: Progress) -> NDArray[np.float64]:
    """(N,) farthest minus nearest valid depth; NaN without any."""
    ranges = np.full(data.n, np.nan)
    with progress("reading depth", total=data.n) as advance:
        for start in range(0, data.n, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, data.n))
            depth = data.read("depth", rows).reshape(len(rows), -1)
            farthest = depth.max(axis=1).astype(np.float64)
            nearest = np.where(depth > 0, depth, np.iinfo(np.uint16).max).min(axis=1)
            ranges[rows] = np.where(farthest > 0, (farthest - nearest) * data.depth_unit_mm, np.nan)
            advance(len(rows))
    return ranges


def measures_table(data: DatasetFile, found: Sequence[Measure]) -> list[list[object]]:
    """One row a measure and dataset where it is known: 5 %, median and 95 % of the samples."""
    rows: list[list[object]] = []
    datasets = data.column("dataset")
    for measure in found:
        for dataset in np.unique(datasets):
            values = measure.values[(datasets == dataset) & np.isfinite(measure.values)]
            if len(values):
                low, middle, high = np.percentile(values, [5, 50, 95])
                name = f"{measure.name} ({measure.unit})"
                rows.append([name, str(dataset), f"{low:.1f}", f"{middle:.1f}", f"{high:.1f}", len(values)])
    return rows


def outliers(data: DatasetFile, found: Sequence[Measure]) -> list[list[object]]:
    """Samples far from the median of their dataset: id, measure, value, median; the farthest first.

    Far is ``OUTLIER_SCORE`` times 1.4826 · median absolute deviation (Rousseeuw & Croux 1993), which for normal
    values is the standard deviation.
    """
    scored: list[tuple[float, list[object]]] = []
    datasets, ids = data.column("dataset"), data.ids
    for measure in found:
        for dataset in np.unique(datasets):
            rows = np.flatnonzero((datasets == dataset) & np.isfinite(measure.values))
            if len(rows) < 10:
                continue
            values = measure.values[rows]
            median = float(np.median(values))
            spread = 1.4826 * float(np.median(np.abs(values - median)))
            if spread == 0:
                continue
            scores = np.abs(values - median) / spread
            for row, score in zip(rows[scores > OUTLIER_SCORE], scores[scores > OUTLIER_SCORE], strict=True):
                shown = f"{measure.values[row]:.1f} {measure.unit}"
                line = [str(ids[row]), measure.name, shown, f"{median:.1f} {measure.unit}"]
                scored.append((float(score), [*line]))
    return [line for _, line in sorted(scored, key=lambda entry: (-entry[0], str(entry[1])))]


def views_of(data: DatasetFile) -> NDArray[np.str_]:
    """(N,) which view each sample is, as its id ends; empty for the frontal one."""
    return np.array([at + angles for _, at, angles in (name.partition("@") for name in data.ids.tolist())])


def corpora_of(data: DatasetFile) -> NDArray[np.str_]:
    """(N,) the corpus of every sample: its dataset, or the name of the several that are one where all are there."""
    datasets = data.column("dataset").astype(str)
    corpora = np.array([CORPORA.get(name, name) for name in datasets.tolist()])
    alone = [name for name in np.unique(corpora) if len(np.unique(datasets[corpora == name])) == 1]
    return np.where(np.isin(corpora, alone), datasets, corpora)
