"""Runs side by side on the samples that all of them judged out of fold, by a test over people (``resampling``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import METRICS
from fer_train.metrics.resampling import AnswersByPerson, Difference, holm, paired_difference
from fer_train.training.run_folder import RunFolder

ROUNDS: Final = 10_000
FEW_PEOPLE: Final = 10
"""With fewer, the smallest p that exchanges can reach (2 / 2^people) and the interval mean little."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run on the common samples."""

    name: str
    protocol: str
    scores: dict[str, float]
    """Key of a metric → value."""
    versus_first: dict[str, Difference]
    """Key of a metric → difference to the first run; empty for the first run itself."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The outcome of ``compare_runs``."""

    samples: int
    """Judged by every run."""
    people: int
    left_out: int
    """Samples that only some of the runs judged."""
    classes: tuple[str, ...]
    runs: list[RunResult]
    notes: list[str]
    """What a reader of the table must know."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; a run's scores stand beside its name."""
        content = asdict(self)
        content["runs"] = [run | run.pop("scores") for run in content["runs"]]
        return content


def compare_runs(folders: Sequence[Path], data_path: Path, *, rounds: int = ROUNDS, seed: int = 0) -> Comparison:
    """Compare two or more finished runs on the same dataset, which says whose samples they are."""
    if len(folders) < 2:
        raise UsageError("comparing takes at least two runs", hint="fer-train compare runs/first runs/second")
    runs = [RunFolder.open(folder) for folder in folders]
    summaries = [run.read_summary() for run in runs]
    predictions = [run.read_predictions() for run in runs]
    common = _common_ids(runs, predictions)
    with DatasetFile.open(data_path) as data:
        for run, summary in zip(runs, summaries, strict=True):
            _refuse_other_data(run, summary, data)
        subjects = dict(zip(common, data.column("subject")[data.rows_of(common)].tolist(), strict=True))
    answers = [_common_answers(each, subjects) for each in predictions]
    return Comparison(
        samples=len(common),
        people=answers[0].people,
        left_out=len(set[str]().union(*(each.ids for each in predictions))) - len(common),
        classes=predictions[0].classes,
        runs=[
            RunResult(
                name=run.path.resolve().name,
                protocol=summary["protocol"],
                scores={metric.key: each.value(metric) for metric in METRICS},
                versus_first=versus,
            )
            for run, summary, each, versus in zip(
                runs, summaries, answers, [{}, *_versus_first(answers, rounds=rounds, seed=seed)], strict=True
            )
        ],
        notes=_notes(runs, summaries, people=answers[0].people),
    )


def _common_answers(predictions: Predictions, subjects: dict[str, str]) -> AnswersByPerson:
    """Those of the samples that ``subjects`` names."""
    kept = predictions.only([row for row, name in enumerate(predictions.ids) if name in subjects])
    return AnswersByPerson.of(kept, np.array([subjects[name] for name in kept.ids]))


def _versus_first(answers: Sequence[AnswersByPerson], *, rounds: int, seed: int) -> list[dict[str, Difference]]:
    """Key of a metric → difference, for every run but the first."""
    found: list[dict[str, Difference]] = [{} for _ in answers[1:]]
    for metric in METRICS:
        differences = [
            # every pair meets the same draws: a third run changes nothing in the comparison of the first two
            paired_difference(metric, answers[0], other, rng=np.random.default_rng(seed), rounds=rounds)
            for other in answers[1:]
        ]
        adjusted = holm([difference.p for difference in differences])
        for entry, difference, p in zip(found, differences, adjusted, strict=True):
            entry[metric.key] = replace(difference, p_adjusted=p)
    return found


def _common_ids(runs: Sequence[RunFolder], predictions: Sequence[Predictions]) -> list[str]:
    """Ids that every run judged, sorted; runs of other classes or with none in common are refused."""
    first = predictions[0]
    for run, other in zip(runs[1:], predictions[1:], strict=True):
        if other.classes != first.classes:
            raise UsageError(
                path=run.path, expected=f"the classes {', '.join(first.classes)}", found=", ".join(other.classes)
            )
    common = set(first.ids).intersection(*(other.ids for other in predictions[1:]))
    if not common:
        raise UsageError("these runs judged no sample in common", path=runs[1].path, hint="compare runs on one dataset")
    return sorted(common)


def _refuse_other_data(run: RunFolder, summary: dict[str, Any], data: DatasetFile) -> None:
    if summary["data_digest"] != data.data_digest:
        raise UsageError(
            path=run.path,
            expected=f"a run on {data.path} (digest {data.data_digest[:12]}…)",
            found=f"one on other data ({summary['data_digest'][:12]}…)",
            hint="name the dataset of the runs with --data",
        )


def _notes(runs: Sequence[RunFolder], summaries: Sequence[dict[str, Any]], *, people: int) -> list[str]:
    notes: list[str] = []
    if people < FEW_PEOPLE:
        notes.append(f"Only {people} people: intervals and p-values of so few mean little.")
    if len({run.folds_file.read_bytes() for run in runs}) > 1:
        notes.append("The runs have different folds: their difference is also one between divisions of the data.")
    leaking = [run.path.name for run, summary in zip(runs, summaries, strict=True) if summary["warnings"]]
    if leaking:
        notes.append(f"People stand on both sides of the folds of {', '.join(leaking)}: known faces, not new ones.")
    return notes
