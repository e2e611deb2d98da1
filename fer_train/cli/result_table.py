"""The result of a cross-validation as a table at the terminal."""

from __future__ import annotations

from typing import Any

from fer_prep.cli.console import print_table, say, warn
from fer_train.metrics.registry import METRICS
from fer_train.report.words import (
    BASELINE_COLUMNS,
    FOLD_COLUMNS,
    SEED_COLUMNS,
    baseline_rows,
    fold_rows,
    in_words,
    majority_in_words,
    not_beaten_in_words,
    seed_rows,
)


def print_summary(summary: dict[str, Any]) -> None:
    """The result table: one row a fold, then the mean."""
    title = f"{summary['name']}, {summary['protocol']}, {len(summary['classes'])} classes"
    print_table(title, FOLD_COLUMNS, fold_rows(summary))
    if of_seeds := seed_rows(summary):
        print_table("Over seeds, each the mean of its folds", SEED_COLUMNS, of_seeds)
    for metric in METRICS:
        mean = f"{metric.mean_text(summary[metric.key])} {metric.unit}".rstrip()
        say(f"{metric.name}: {mean}; {in_words(summary, metric)}")
    if beside := baseline_rows(summary):
        print_table("Beside it, on the same folds", BASELINE_COLUMNS, beside)
    else:
        say(majority_in_words(summary["confusion_matrix"], summary["classes"]))
    if text := not_beaten_in_words(summary):
        warn(text)
    for text in summary["warnings"]:
        warn(text)
