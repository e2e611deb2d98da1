"""The result of a cross-validation as a table at the terminal."""

from __future__ import annotations

from typing import Any

from fer_prep.cli.console import console, print_table


def print_summary(summary: dict[str, Any]) -> None:
    """The result table: one row a fold, then the mean."""
    rows: list[list[object]] = [
        [
            str(fold["index"]),
            *(f"{fold[key]:.1f}" for key in ("overall_accuracy", "average_accuracy", "macro_f1")),
            f"{fold['loss']:.3f}",
            f"{fold['best']['overall_accuracy']:.1f}",
        ]
        for fold in summary["folds"]
    ]
    overall, average = summary["overall_accuracy"], summary["average_accuracy"]
    best = summary["best_validation_point"]["overall_accuracy"]["mean"]
    rows.append(
        ["mean", f"{overall['mean']:.1f}", f"{average['mean']:.1f}", f"{summary['macro_f1']['mean']:.1f}",
         f"{summary['loss']['mean']:.3f}", f"{best:.1f}"]
    )  # fmt: skip
    columns = ("fold", "overall %", "average %", "macro F1 %", "loss", "(best point: overall %)")
    print_table(f"{summary['name']}, {summary['protocol']}, {len(summary['classes'])} classes", columns, rows)
    for name, value in (("overall accuracy", overall), ("average accuracy", average)):
        low, high = value["ci95"]
        console.print(
            f"{name}: {value['mean']:.1f} ± {value['std']:.1f} % (folds), 95 % interval over people "
            f"{low:.1f} to {high:.1f} %",
            soft_wrap=True,
        )
