"""Accuracy over the number of people in training: what would ten more people bring?

Every number of people is a run of its own, judged on the same held-out people; each number's people are among those of
the next. A run that is finished is not made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.csv_tables import write_table
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FoldsError, UsageError
from fer_prep.folds.splits import Fold, FoldManifest, validate
from fer_prep.progress import Progress, silent
from fer_train.config import Config
from fer_train.metrics.plots import new_figure, save_figure, tidy
from fer_train.metrics.registry import METRICS
from fer_train.report.results import train_and_report
from fer_train.training.cross_validate import FoldChoice, Say, choose_folds
from fer_train.training.run_folder import RunFolder, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS: Final = (
    "network",
    "people",
    *(f"{metric.key}{part}" for metric in METRICS[:2] for part in ("", "_low", "_high")),
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network learned from so many people a fold."""

    network: str
    people: int
    summary: Mapping[str, Any]

    def cells(self) -> tuple[Any, ...]:
        """By ``COLUMNS``: the mean over folds, and the interval over people, empty where there is none."""
        scores = [self.summary[metric.key] for metric in METRICS[:2]]
        return (
            self.network,
            self.people,
            *(cell for one in scores for cell in (one["mean"], *(one["ci95"] or ("", "")))),
        )


def curve(
    data_path: Path,
    *,
    configs: Mapping[str, Config],
    counts: Sequence[int],
    folds: FoldChoice,
    out: Path,
    say: Say,
    progress: Progress = silent,
) -> list[Point]:
    """Train each of ``configs`` (by name) from each number of people, and at last from all; write table and picture.

    A number for which a fold would lack a class is left out, and ``say`` hears it.
    """
    with DatasetFile.open(data_path) as file:
        whole = choose_folds(file, folds=folds, say=say)
        subjects = dict(zip(file.ids.tolist(), file.column("subject").tolist(), strict=True))
        fewest = min(len({subjects[name] for name in fold.train}) for fold in whole.folds)
        manifests: dict[int, FoldManifest] = {}
        for count in [*(n for n in sorted(set(counts)) if n < fewest), fewest]:
            manifest = with_people(whole, file, count=count)
            try:
                validate(manifest, file)
            except FoldsError as error:
                say(f"{count} people: left out, {error.message}")
            else:
                manifests[count] = manifest
    if not manifests:
        raise UsageError("no number of people has every class in every training part", path=data_path)
    points: list[Point] = []
    for name, config in configs.items():
        for count, manifest in manifests.items():
            run = RunFolder(out / name / f"{count}-people")
            run.refuse_other(config, Task(data_path))
            if not run.finished:
                choice = FoldChoice(manifest=manifest)
                train_and_report(data_path, config=config, folds=choice, run=run, say=say, progress=progress)
            summary = run.read_summary()
            points.append(Point(network=name, people=count, summary=summary))
            say(f"{name}, {count} people: {METRICS[0].mean_text(summary[METRICS[0].key])} {METRICS[0].unit}")
    write_atomically(out / "curve.csv", content=write_table(COLUMNS, [list(point.cells()) for point in points]))
    save_figure(curve_figure(points), out / "curve.png")
    return points


def with_people(whole: FoldManifest, file: DatasetFile, *, count: int) -> FoldManifest:
    """The same folds, each with the first ``count`` of its training people in an order that follows from the seed."""
    rows = {name: row for row, name in enumerate(file.ids.tolist())}
    subjects, datasets = file.column("subject"), file.column("dataset")
    folds: list[Fold] = []
    for index, fold in enumerate(whole.folds):
        places = np.array([rows[name] for name in fold.train])
        order = _people_in_turn(subjects[places], datasets[places], seed=whole.seed + index)
        chosen = set(order[:count])
        kept = tuple(name for name, place in zip(fold.train, places, strict=True) if subjects[place] in chosen)
        folds.append(replace(fold, train=kept))
    return replace(whole, folds=tuple(folds))


def _people_in_turn(subjects: NDArray[np.str_], datasets: NDArray[np.str_], *, seed: int) -> list[str]:
    """All people once, shuffled, one of each dataset in turn."""
    rng = np.random.default_rng(seed)
    queues = [rng.permutation(np.unique(subjects[datasets == name])).tolist() for name in np.unique(datasets)]
    longest = max(map(len, queues))
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def curve_figure(points: Sequence[Point]) -> Figure:
    """Overall accuracy over people, a line a network, with the interval over people where there is one."""
    metric, figure = METRICS[0], new_figure(width=6, height=4)
    axes = figure.subplots()
    for name in dict.fromkeys(point.network for point in points):
        mine = [point for point in points if point.network == name]
        means = np.array([point.summary[metric.key]["mean"] for point in mine])
        ends = np.array(
            [point.summary[metric.key]["ci95"] or (mean, mean) for point, mean in zip(mine, means, strict=True)]
        )
        spread = np.abs(ends.T - means)
        axes.errorbar([point.people for point in mine], means, yerr=spread, marker="o", capsize=3, label=name)
    axes.set(xscale="log", xlabel="people in training", ylabel=metric.title, ylim=(0, 101))
    people = sorted({point.people for point in points})
    axes.set_xticks(people, [str(count) for count in people])
    axes.minorticks_off()
    axes.legend(frameon=False)
    tidy(axes)
    return figure
