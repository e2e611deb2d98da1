"""The result of a cross-validation as a table at the terminal."""

from __future__ import annotations

from typing import Any

from fer_prep.cli.console import print_table, say
from fer_train.metrics.registry import METRICS


def print_summary(summary: dict[str, Any]) -> None:
    """The result table: one row a fold, then the mean."""
    rows: list[list[object]] = [
        [
            str(fold["index"]),
            *(metric.text(fold[metric.key]) for metric in METRICS),
            f"{fold['loss']:.3f}",
            f"{fold['best']['overall_accuracy']:.1f}",
        ]
        for fold in summary["folds"]
    ]
    best = summary["best_validation_point"]["overall_accuracy"]["mean"]
    means = (metric.text(summary[metric.key]["mean"]) for metric in METRICS)
    rows.append(["mean", *means, f"{summary['loss']['mean']:.3f}", f"{best:.1f}"])
    columns = ("fold", *(metric.title for metric in METRICS), "loss", "(best point: overall %)")
    print_table(f"{summary['name']}, {summary['protocol']}, {len(summary['classes'])} classes", columns, rows)
    for metric in METRICS:
        mean, std = (metric.text(summary[metric.key][part]) for part in ("mean", "std"))
        low, high = (metric.text(end) for end in summary[metric.key]["ci95"])
        unit = f" {metric.unit}" if metric.unit else ""
        say(f"{metric.name}: {mean} ± {std}{unit} (folds), 95 % interval over people {low} to {high}{unit}")
