"""The parts of the report page: a new one is a function of a trained run and its entry in ``SECTIONS``."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

from markupsafe import Markup

from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.registry import METRICS
from fer_train.report.figures import FIGURES, ReportFigure
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
from fer_train.training.run_folder import CONFIG

LONGEST_NUMBER: Final = 24
"""Characters of a cell that stays in one line: ``+12.3 (-10.1 to 14.2)``."""
GROUP_COUNTS: Final = ("samples", "subjects", "classes")
"""Of how many a group's numbers are."""


@final
@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of every report."""

    html: Callable[[TrainedRun], Markup]
    """Empty where this run has nothing to say here: the section is left out."""
    title: str = ""


def headline(trained: TrainedRun) -> Markup:
    """The two numbers to quote, what they mean, and what makes them doubtful."""
    summary = trained.summary
    boxes = Markup("").join(
        Markup('<div class="number" id="{}">{}<b>{} {}</b><span class="soft">{}</span></div>').format(
            metric.key,
            metric.name.capitalize(),
            metric.mean_text(summary[metric.key]),
            metric.unit,
            in_words(summary, metric),
        )
        for metric in METRICS[:2]
    )
    best = summary["best_validation_point"]["overall_accuracy"]["mean"]
    words = (
        f"{summary['headline']} {majority_in_words(summary['confusion_matrix'], summary['classes'])} Choosing for "
        f"every fold the point of its training at which it did best on the very samples it is judged by would give "
        f"{best:.1f} %: that is a choice made with the answers in hand, shown here only because others report it."
    )
    warnings = Markup("").join(Markup('<p class="warning">{}</p>').format(text) for text in summary["warnings"])
    return Markup('<div class="headline">{}</div><p>{}</p>{}').format(boxes, words, warnings)


def metrics(trained: TrainedRun) -> Markup:
    """Every metric with its spread over folds, and of all answers together with its interval over people."""
    summary = trained.summary
    rows = [
        (
            metric.title,
            *(metric.text(summary[metric.key][part]) for part in ("mean", "std")),
            metric.text(summary["pooled"][metric.key]),
            metric.range_text(summary[metric.key]["ci95"]),
        )
        for metric in METRICS
    ]
    columns = ("mean of folds", "standard deviation", "all answers together", "95 % interval over people")
    words = Markup(
        '<p class="soft">{} answers of {} people. The mean of folds counts every fold alike, whatever its size; all '
        "answers together count every answer alike, as the interval and the sections below do.</p>"
    ).format(summary["samples"], summary["subjects"])
    return words + table(("metric", *columns), rows)


def baselines(trained: TrainedRun) -> Markup:
    """The network beside what needs none, and one plain sentence where it does not beat that."""
    rows, text = baseline_rows(trained.summary), not_beaten_in_words(trained.summary)
    if not rows:
        return Markup("")
    words = Markup('<p class="warning">{}</p>').format(text) if text else Markup("")
    return words + table(BASELINE_COLUMNS, rows)


def folds(trained: TrainedRun) -> Markup:
    """A row a fold, and their mean."""
    return table(FOLD_COLUMNS, fold_rows(trained.summary), total=True)


def seeds(trained: TrainedRun) -> Markup:
    """A row a seed, and how far apart they are; nothing of a single one."""
    if not (rows := seed_rows(trained.summary)):
        return Markup("")
    words = Markup(
        '<p class="soft">Everything was trained again with other seeds, on the same folds; each row is the mean over '
        "the folds. The numbers above and below are of the first.</p>"
    )
    return words + table(SEED_COLUMNS, rows, total=True)


def views(trained: TrainedRun) -> Markup:
    """A row for every yaw that faces were turned by; nothing where all are frontal."""
    found = trained.summary.get("views", [])
    rows = [
        (f"{each['yaw_degrees']:+d}°", each["samples"], *(metric.text(each[metric.key]) for metric in METRICS))
        for each in found
    ]
    return table(("yaw", "samples", *(metric.title for metric in METRICS)), rows) if rows else Markup("")


def group(trained: TrainedRun, *, column: str) -> Markup:
    """The samples by a column of the dataset; nothing where all have the same value."""
    groups = trained.summary["groups"].get(column, {})
    if len(groups) < 2:
        return Markup("")
    rows = [
        (
            _group_name(column, name),
            *(values[count] for count in GROUP_COUNTS),
            *(metric.text(values[metric.key]) for metric in METRICS),
        )
        for name, values in groups.items()
    ]
    return table((column, *GROUP_COUNTS, *(metric.title for metric in METRICS)), rows)


def _group_name(column: str, value: str) -> str:
    """A group's value in words, where the file says that it does not know or does not have one."""
    if column == "intensity" and value == "0":
        return "not graded"
    return value or "unknown"


def picture(trained: TrainedRun, *, figure: ReportFigure) -> Markup:
    """A figure that was drawn, inside the page."""
    path = trained.run.figures / f"{figure.name}.png"
    if not path.exists():
        return Markup("")
    return Markup(
        '<p class="soft">{}</p><div class="scroll"><img src="data:image/png;base64,{}" alt="{}"></div>'
    ).format(figure.note, base64.b64encode(path.read_bytes()).decode(), figure.title)


def computed(trained: TrainedRun) -> Markup:
    """Settings and environment."""
    parts = {
        "Settings": (trained.run.path / CONFIG).read_text(encoding="utf-8"),
        "Environment": json.dumps(trained.run.read_environment(), indent=1, ensure_ascii=False),
    }
    return Markup("").join(
        Markup("<details><summary>{}</summary><pre>{}</pre></details>").format(name, text)
        for name, text in parts.items()
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, total: bool = False) -> Markup:
    """A table that scrolls by itself on a phone; with ``total`` its last row stands out. Words are broken into lines,
    numbers never.
    """

    def line(cells: Sequence[Any], kind: str) -> Markup:
        return Markup("").join(
            Markup('<{0} class="words">{1}</{0}>' if len(str(cell)) > LONGEST_NUMBER else "<{0}>{1}</{0}>").format(
                kind, cell
            )
            for cell in cells
        )

    last = len(rows) - 1 if total else -1
    body = Markup("\n").join(
        Markup('<tr class="total">{}</tr>' if number == last else "<tr>{}</tr>").format(line(row, "td"))
        for number, row in enumerate(rows)
    )
    return Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        line(columns, "th"), body
    )


SECTIONS: Final[tuple[Section, ...]] = (
    Section(html=headline),
    Section(title="Metrics", html=metrics),
    Section(title="Beside it, on the same folds", html=baselines),
    Section(title="Folds", html=folds),
    Section(title="Seeds", html=seeds),
    Section(title="By dataset", html=partial(group, column="dataset")),
    Section(title="By gender", html=partial(group, column="gender")),
    Section(title="By intensity", html=partial(group, column="intensity")),
    Section(title="By source of the label", html=partial(group, column="label_source")),
    Section(title="By yaw", html=views),
    *(Section(title=each.title, html=partial(picture, figure=each)) for each in FIGURES if each.title),
    Section(title="How this was computed", html=computed),
)
"""In the order of the page."""
