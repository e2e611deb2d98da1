"""Runs side by side, by a test that knows that samples of one person are alike.

Runs are compared on the samples that all of them judged out of fold. People, not samples, are what a result must carry
over to, so both the interval and the test treat a person as one unit:

- interval: people are drawn with replacement, the same draw for both runs (Efron, Tibshirani 1993, §13);
- test: were the runs equally good, a person's two sets of answers could be exchanged. p is the share of random
  exchanges that make a difference at least as large as the one seen, never 0 (Phipson, Smyth 2010, eq. 2), adjusted
  for the number of runs compared with the first (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_train.metrics.accuracy import Statistic, average_accuracies, overall_accuracies
from fer_train.training.run_folder import Predictions, RunFolder

ROUNDS: Final = 10_000
STATISTICS: Final[tuple[Statistic, ...]] = ("overall_accuracy", "average_accuracy")
FEW_PEOPLE: Final = 10
"""With fewer, the smallest p that exchanges can reach (2 / 2^people) and the interval mean little."""

Confusions = NDArray[np.float64]
"""(S, K, K): one confusion matrix a person, every sample of weight 1."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much better one run is than the first, in percentage points."""

    difference: float
    ci95: tuple[float, float]
    p: float
    """Two-sided."""
    p_adjusted: float
    """After Holm, over the runs compared with the first."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run on the common samples; accuracies in percent."""

    name: str
    protocol: str
    overall_accuracy: float
    average_accuracy: float
    versus_first: dict[str, Difference]
    """Statistic → difference to the first run; empty for the first run itself."""


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
        """JSON-able."""
        return asdict(self)


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
        subjects = data.column("subject")[data.rows_of(common)]
    confusions = [confusions_by_person(p, ids=common, subjects=subjects) for p in predictions]
    differences = _compare_with_first(confusions, rounds=rounds, seed=seed)
    return Comparison(
        samples=len(common),
        people=len(confusions[0]),
        left_out=len(set[str]().union(*(p.ids for p in predictions))) - len(common),
        classes=predictions[0].classes,
        runs=[
            RunResult(
                name=run.path.resolve().name,
                protocol=summary["protocol"],
                overall_accuracy=_value(by_person.sum(axis=0), "overall_accuracy"),
                average_accuracy=_value(by_person.sum(axis=0), "average_accuracy"),
                versus_first=versus,
            )
            for run, summary, by_person, versus in zip(runs, summaries, confusions, [{}, *differences], strict=True)
        ],
        notes=_notes(runs, summaries, people=len(confusions[0])),
    )


def confusions_by_person(predictions: Predictions, *, ids: Sequence[str], subjects: NDArray[np.str_]) -> Confusions:
    """(S, K, K) counts of the samples in ``ids``, whose people are ``subjects`` (the same length), sorted by person.

    A sample that several folds judged (repeated protocols) counts once: its judgements share its weight.
    """
    place = {name: index for index, name in enumerate(ids)}
    _, person_of = np.unique(subjects, return_inverse=True)
    rows = np.array([row for row, name in enumerate(predictions.ids) if name in place])
    samples = np.array([place[predictions.ids[row]] for row in rows])
    weights = 1 / np.bincount(samples, minlength=len(ids))[samples]
    classes = len(predictions.classes)
    counts = np.zeros((person_of.max() + 1, classes, classes))
    np.add.at(counts, (person_of[samples], predictions.labels[rows], predictions.predicted[rows]), weights)
    return counts


def paired_difference(
    first: Confusions, second: Confusions, *, statistic: Statistic, rng: np.random.Generator, rounds: int = ROUNDS
) -> Difference:
    """``second`` minus ``first`` for the same S people, with interval and p; ``p_adjusted`` is not adjusted yet."""
    seen = _value(second.sum(axis=0), statistic) - _value(first.sum(axis=0), statistic)
    people = len(first)
    draws = rng.multinomial(people, np.full(people, 1 / people), size=rounds).astype(float)  # (R, S)
    resampled = _values(np.tensordot(draws, second, axes=1), statistic) - _values(
        np.tensordot(draws, first, axes=1), statistic
    )
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    exchanged = rng.integers(0, 2, (rounds, people)).astype(float)  # (R, S): 1 where a person's answers change sides
    moved = np.tensordot(exchanged, second - first, axes=1)  # (R, K, K)
    null = _values(second.sum(axis=0) - moved, statistic) - _values(first.sum(axis=0) + moved, statistic)
    # the tolerance takes differences that rounding alone tells apart for equal
    as_large = int((np.abs(null) >= abs(seen) - 1e-9).sum())
    p = (as_large + 1) / (rounds + 1)
    return Difference(difference=seen, ci95=(float(low), float(high)), p=p, p_adjusted=p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of several tests, in the given order (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _compare_with_first(confusions: Sequence[Confusions], *, rounds: int, seed: int) -> list[dict[str, Difference]]:
    """Statistic → difference, for every run but the first."""
    found: list[dict[str, Difference]] = [{} for _ in confusions[1:]]
    for statistic in STATISTICS:
        differences = [
            # every pair meets the same draws: a third run changes nothing in the comparison of the first two
            paired_difference(confusions[0], other, statistic=statistic, rng=np.random.default_rng(seed), rounds=rounds)
            for other in confusions[1:]
        ]
        adjusted = holm([difference.p for difference in differences])
        for entry, difference, p_adjusted in zip(found, differences, adjusted, strict=True):
            entry[statistic] = Difference(
                difference=difference.difference, ci95=difference.ci95, p=difference.p, p_adjusted=p_adjusted
            )
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


def _value(confusion: NDArray[np.float64], statistic: Statistic) -> float:
    return float(_values(confusion[None], statistic)[0])


def _values(confusions: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
    """(R, K, K) → (R,) in percent."""
    return overall_accuracies(confusions) if statistic == "overall_accuracy" else average_accuracies(confusions)
