"""The runs that an experiment needs, one after the other, and its table (``experiment``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fer_prep.atomic_files import write_atomically
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.folds.protocols import read_protocol
from fer_prep.folds.selection import Selection
from fer_prep.folds.splits import FoldManifest, make_folds
from fer_prep.progress import Progress, silent
from fer_train.analysis.experiment import OURS, SOURCES, THESIS, Experiment, ExperimentRow
from fer_train.config import Config
from fer_train.metrics.registry import METRICS
from fer_train.report.results import train_and_report
from fer_train.settings_file import differences, load_preset, override
from fer_train.training.cross_validate import FoldChoice, Say
from fer_train.training.run_folder import RunFolder, Task

SHOWN: Final = 4


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """The outcome: a summary for every row, in order."""

    experiment: Experiment
    protocol: str
    config: Config
    """Of all rows, before each changed it."""
    summaries: tuple[dict[str, Any], ...]
    framed_otherwise: tuple[str, ...] = ()
    """What the data was not prepared as the experiment wants it."""

    def table(self) -> list[tuple[str, ...]]:
        """Our rows by ``COLUMNS``, and below a rule what other systems are quoted with."""
        ours = [
            (
                row.name,
                str(len(summary["classes"])),
                str(summary["samples"]),
                *(_two_digits(summary[metric.key]) for metric in METRICS[:2]),
                _two_digits(summary["best_validation_point"]["overall_accuracy"]),
                "not known here" if row.figure is None else f"{row.figure:.2f}",
            )
            for row, summary in zip(self.experiment.rows, self.summaries, strict=True)
        ]
        nothing = ("",) * (len(COLUMNS) - 2)
        others = [(other.name, *nothing, f"{other.figure:.2f}") for other in self.experiment.others]
        return [*ours, *([("—— quoted, not run ——", *nothing, ""), *others] if others else [])]

    def remarks(self) -> list[str]:
        """What a reader of the table must know."""
        experiment, rule = self.experiment, read_protocol(self.protocol)
        remarks = [f"Protocol {rule.name}: {rule.title}."]
        if rule.leaks:
            remarks.append(f"This protocol leaks. {rule.leaks}")
        other = read_protocol(experiment.thesis_protocol)
        if other.leaks and other.name != rule.name:
            remarks.append(f"The known figures are by a protocol like {other.name}, which leaks. {other.leaks}")
        changed = differences(load_preset(THESIS), self.config)
        if changed:
            more = ", …" if len(changed) > SHOWN else ""
            remarks.append(f"Not the thesis's settings (there: preset thesis): {', '.join(changed[:SHOWN])}{more}")
        if not self.config.model.weights:
            remarks.append("The thesis started from weights learned on VGGFace2; here none were given (model.weights).")
        if experiment.source in SOURCES:
            remarks.append(
                f"Of the two points {THEIR_POINT} is what the {experiment.source} reports: it was chosen with the "
                "answers in hand. The last epoch is the result."
            )
        remarks += [*self.framed_otherwise, *([experiment.note] if experiment.note else [])]
        return [*remarks, f"Known figures: {SOURCES.get(experiment.source, experiment.source)}"]

    def to_markdown(self) -> str:
        """The table and the remarks, as a page."""
        lines = [f"# {self.experiment.place}: {self.experiment.title}", "", *_markdown(COLUMNS, self.table()), ""]
        return "\n".join([*lines, *(f"- {remark}" for remark in self.remarks()), ""])


THEIR_POINT: Final = "the best validation point"
COLUMNS: Final = (
    "row",
    "classes",
    "samples",
    *(f"last epoch: {metric.title}" for metric in METRICS[:2]),
    f"{THEIR_POINT}: overall accuracy %",
    "known figure %",
)


def reproduce(
    experiment: Experiment,
    data_path: Path,
    *,
    config: Config,
    protocol: str = OURS,
    folds: int | None = None,
    repeats: int | None = None,
    out: Path,
    say: Say = lambda text: None,
    progress: Progress = silent,
) -> Reproduced:
    """Run what the table needs, each row in its own run folder in ``out``.

    What is finished there is not run again.
    """
    name = experiment.protocol_called(protocol)
    summaries: list[dict[str, Any]] = []
    for number, row in enumerate(experiment.rows, start=1):
        say(f"row {number} of {len(experiment.rows)}: {row.name}")
        settings = override(config, {**row.settings, "name": f"{experiment.name}-{row.folder}"})
        with DatasetFile.open(data_path) as data:
            manifest = make_row_folds(experiment, row, data, protocol=name, folds=folds, repeats=repeats)
            run = RunFolder(out / row.folder)
            run.refuse_other(settings, Task(data_path))
            if run.finished:
                summaries.append(_finished(run, manifest))
                continue
        choice = FoldChoice(manifest=manifest)
        summaries.append(
            train_and_report(data_path, config=settings, folds=choice, run=run, say=say, progress=progress)
        )
    with DatasetFile.open(data_path) as data:
        framed_otherwise = tuple(experiment.framed_otherwise(data.settings))
    found = Reproduced(
        experiment=experiment,
        protocol=name,
        config=config,
        summaries=tuple(summaries),
        framed_otherwise=framed_otherwise,
    )
    write_atomically(out / "table.md", content=found.to_markdown())
    return found


def make_row_folds(
    experiment: Experiment,
    row: ExperimentRow,
    data: DatasetFile,
    *,
    protocol: str,
    folds: int | None,
    repeats: int | None,
) -> FoldManifest:
    """The folds of one row; a file without the experiment's datasets is refused."""
    present = set(data.column("dataset").tolist())
    wanted = tuple(experiment.selection.get("datasets", ()))
    missing = [name for name in wanted if name not in present]
    if missing:
        raise UsageError(
            f"{experiment.place} needs {', '.join(missing)}; this file has {', '.join(sorted(present))}",
            path=data.path,
        )
    base = Selection(classes=data.classes).replaced_by(dict(experiment.selection))
    if row.classes:
        base = base.replaced_by({"classes": list(row.classes)})
    return make_folds(data, protocol=protocol, folds=folds, repeats=repeats, selection=base)


def _finished(run: RunFolder, manifest: FoldManifest) -> dict[str, Any]:
    """The summary of a run that need not be done again; one on other data or folds is refused."""
    summary = run.read_summary()
    found = (summary["data_digest"], summary["protocol"], len(summary["folds"]))
    if found != (manifest.data_digest, manifest.protocol, len(manifest.folds)):
        raise UsageError("was run on other data or other folds", path=run.path, hint="choose another --out")
    return summary


def _two_digits(spread: Mapping[str, float | None]) -> str:
    """Mean ± deviation over folds with as many digits as published tables have."""
    return f"{spread['mean']:.2f}" + ("" if spread["std"] is None else f" ± {spread['std']:.2f}")


def _markdown(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(cells) + " |" for cells in (columns, *rows)]
    return [lines[0], "| --- " * len(columns) + "|", *lines[1:]]
