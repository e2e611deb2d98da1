"""What the numbers of a run are, in words: for the page and the terminal. Read without loading PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from fer_train.metrics.registry import METRICS, Metric, majority_class


def in_words(summary: Mapping[str, Any], metric: Metric) -> str:
    """What kind of numbers the mean and the interval of a metric are, and of how many."""
    folds, ends = len(summary["folds"]), summary[metric.key]["ci95"]
    mean = f"mean and standard deviation of {folds} folds; " if folds > 1 else ""
    pooled = f"all {summary['samples']} answers together: {metric.text(summary['pooled'][metric.key])}"
    if ends is None:
        return f"{mean}{pooled}; no interval: {summary['subjects']} people are too few"
    return f"{mean}{pooled}, 95 % interval over {summary['subjects']} people {metric.range_text(ends)}"


FOLD_COLUMNS: Final = (
    "fold",
    "learned / judged",
    *(metric.title for metric in METRICS),
    "loss",
    "(best point: overall %)",
)


def fold_rows(summary: Mapping[str, Any]) -> list[Sequence[str]]:
    """``FOLD_COLUMNS`` of every fold, and at last of their mean."""
    rows = [
        (
            str(fold["index"]),
            f"{fold['train_samples']} / {fold['val_samples']}",
            *(metric.text(fold[metric.key]) for metric in METRICS),
            f"{fold['loss']:.3f}",
            f"{fold['best']['overall_accuracy']:.1f}",
        )
        for fold in summary["folds"]
    ]
    best = summary["best_validation_point"]["overall_accuracy"]["mean"]
    means = (metric.text(summary[metric.key]["mean"]) for metric in METRICS)
    return [*rows, ("mean", "", *means, f"{summary['loss']['mean']:.3f}", f"{best:.1f}")]


SEED_COLUMNS: Final = ("seed", *(metric.title for metric in METRICS))


def seed_rows(summary: Mapping[str, Any]) -> list[Sequence[str]]:
    """``SEED_COLUMNS``: of every seed the mean over folds, at last mean and deviation over seeds; none of one seed."""
    seeds: Mapping[str, Any] = summary.get("seeds", {})
    rows: list[Sequence[str]] = [
        (str(seed), *(metric.text(seeds[metric.key]["each"][place]) for metric in METRICS))
        for place, seed in enumerate(seeds.get("values", ()))
    ]
    return [*rows, ("mean", *(metric.mean_text(seeds[metric.key]) for metric in METRICS))] if rows else []


BASELINES: Final = {
    "majority": "always the most frequent class",
    "landmarks": "a discriminant on landmarks in 2D",
    "classical": "landmarks and gradient histograms (classical)",
    "frozen": "the network of model.blocks' features as it is",
}
"""What a baseline is called."""


def baseline_rows(summary: Mapping[str, Any]) -> list[Sequence[str]]:
    """``BASELINE_COLUMNS`` for the network and each baseline that stands beside it; nothing where none does."""
    beside: Mapping[str, Any] = summary.get("baselines", {})
    rows: list[Sequence[str]] = [
        (summary["name"], *(metric.mean_text(summary[metric.key]) for metric in METRICS[:2]), "")
    ]
    for name, entry in beside.items():
        if "impossible" in entry:
            rows.append((BASELINES[name], "–", "–", f"impossible: {entry['impossible']}"))
            continue
        difference = entry["difference"]
        ends = "" if difference["ci95"] is None else f" ({METRICS[0].range_text(difference['ci95'])})"
        means = (metric.mean_text(entry[metric.key]) for metric in METRICS[:2])
        rows.append((BASELINES[name], *means, f"{METRICS[0].text(difference['mean'], sign=True)}{ends}"))
    return rows if beside else []


BASELINE_COLUMNS: Final = ("", *(metric.title for metric in METRICS[:2]), "network better by (95 %, over people)")


def not_beaten_in_words(summary: Mapping[str, Any]) -> str:
    """One sentence that names the baselines which the network does not beat, its lead's interval above 0; else none."""
    beside: Mapping[str, Any] = summary.get("baselines", {})
    names = [
        BASELINES[name]
        for name, entry in beside.items()
        if "impossible" not in entry and (entry["difference"]["ci95"] or [entry["difference"]["mean"]])[0] <= 0
    ]
    if not names:
        return ""
    return f"On these folds {summary['name']} does not beat: {'; '.join(names)}."


def majority_in_words(confusion: ArrayLike, classes: Sequence[str]) -> str:
    """What no network is needed for; ``confusion`` (K, K)."""
    label, share = majority_class(np.asarray(confusion, np.float64))
    return f"Always answering {classes[label]}, the most frequent class, gives {share:.1f} % overall accuracy."
