"""``figures/*.png`` and ``report.html``: the result of a run on one page that needs no other file."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fer_prep.atomic_files import write_atomically
from fer_prep.dataset.reader import DatasetFile
from fer_train.analysis.embed import can_be_embedded, embed, kept_features, write_embeddings
from fer_train.analysis.explain import choose, explain, write_contact_sheet
from fer_train.inference.trained_run import TrainedRun
from fer_train.report.figures import (
    Mistake,
    class_bars_figure,
    confusion_figure,
    curves_figure,
    mistakes_figure,
    save_figure,
)
from fer_train.training.run_folder import CONFIG, Predictions, RunFolder, read_history

MISTAKES_SHOWN: Final = 18
EXPLAINED: Final = 2
"""Grad-CAM samples of every class."""
EMBEDDED: Final = 2000
"""t-SNE samples of every fold, at most."""

NOTES: Final = {
    "confusion": "Every sample was judged by the fold that had not trained on it; all folds summed.",
    "curves": "Thin lines and points are single folds. The headline is the last point of each fold.",
    "classes": "Recall: how many of a class were found. Precision: how many of those called so are it.",
    "embedding": "What the classifier sees of the judged samples, by t-SNE; every fold has a network and a space of "
    "its own. Distances between groups mean little here; the numbers below a panel are of the features themselves.",
    "grad-cam-right": "Grad-CAM of right answers, the most confident of each class: where in picture and depth the "
    "evidence lies, from blue (none) to red. fer-train explain draws others.",
    "mistakes": "Those made with the greatest confidence: picture above, depth below (bright is near, black no data).",
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One figure of the page: its file and what stands beside it."""

    title: str
    note: str
    alt: str
    path: Path

    @property
    def base64(self) -> str:
        """The file's bytes, for a data URL."""
        return base64.b64encode(self.path.read_bytes()).decode()


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of the page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    has_total: bool = False


def write_report(run: RunFolder, *, data: DatasetFile, trained: TrainedRun | None = None) -> Path:
    """Draw all figures of a finished run and write its page; return the page's path.

    Those that look into the networks (t-SNE, Grad-CAM) are drawn where ``trained`` gives access to them.
    """
    summary, predictions = run.read_summary(), run.read_predictions()
    pictures = draw_figures(run, summary, predictions, data=data)
    if trained is not None:
        inside = [picture for picture in (draw_embedding(trained), draw_grad_cam(trained)) if picture]
        place = next((k for k, picture in enumerate(pictures) if picture.path.stem == "mistakes"), len(pictures))
        pictures[place:place] = inside
    environment = json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
    template = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html.j2")
    page = template.render(
        title=f"{summary['name']}: {_folds_in_words(summary)}",
        subtitle=f"{summary['samples']} samples of {summary['subjects']} people, {len(summary['classes'])} classes · "
        f"protocol {summary['protocol']} · {environment['time'].replace('T', ' ')} · {environment['device']['type']}",
        headline=_headline(summary),
        explanation=_explanation(summary),
        warnings=summary["warnings"],
        tables=[_fold_table(summary), *_group_tables(summary)],
        pictures=pictures,
        settings=(run.path / CONFIG).read_text(encoding="utf-8"),
        environment=json.dumps(environment, indent=1),
    )
    write_atomically(run.report, content=page)
    return run.report


def draw_figures(
    run: RunFolder, summary: Mapping[str, Any], predictions: Predictions, *, data: DatasetFile
) -> list[Picture]:
    """Write ``figures/*.png``; return what the page shows of them, in its order."""
    counts, means = np.array(summary["confusion_matrix"]), np.array(summary["confusion_matrix_mean"])
    classes = summary["classes"]
    histories = [read_history(run.fold(fold["index"]) / "history.csv") for fold in summary["folds"]]
    figures = {
        "confusion": ("Confusion matrix", confusion_figure(counts, classes, normalise=True)),
        "confusion-counts": ("", confusion_figure(counts, classes, normalise=False)),
        "confusion-mean": ("", confusion_figure(means, classes, normalise=True, of="mean of the folds")),
        "classes": ("Classes", class_bars_figure(summary["per_class"], chance=100 / len(classes))),
        "curves": ("Training", curves_figure(histories)),
    }
    mistakes = worst_mistakes(predictions, data=data)
    if mistakes:
        figures["mistakes"] = ("Mistakes", mistakes_figure(mistakes))
    pictures: list[Picture] = []
    for name, (title, figure) in figures.items():
        path = run.figures / f"{name}.png"
        save_figure(figure, path)
        if title:
            pictures.append(Picture(title=title, note=NOTES[name], alt=title, path=path))
    return pictures


def draw_embedding(trained: TrainedRun) -> Picture | None:
    """Write ``figures/embedding.*``: the features of every fold by t-SNE; None where all folds are too small."""
    features = [kept_features(trained, index, limit=EMBEDDED) for index in trained.fold_numbers]
    embeddings = [embed(each) for each in features if can_be_embedded(each)]
    if not embeddings:
        return None
    write_embeddings(embeddings, trained.run.figures, classes=trained.data.classes)
    path = trained.run.figures / "embedding.png"
    return Picture(title="Features", note=NOTES["embedding"], alt="t-SNE of the features", path=path)


def draw_grad_cam(trained: TrainedRun) -> Picture | None:
    """Write ``figures/grad-cam-right.png``; None where no answer was right."""
    if not choose(trained.predictions, per_class=EXPLAINED, pick="right"):
        return None
    explained = explain(trained, per_class=EXPLAINED, pick="right")
    path = trained.run.figures / "grad-cam-right.png"
    write_contact_sheet(explained, path, blocks=min(2, len(explained)))
    return Picture(title="Where it looks", note=NOTES["grad-cam-right"], alt="Grad-CAM maps", path=path)


def worst_mistakes(predictions: Predictions, *, data: DatasetFile, count: int = MISTAKES_SHOWN) -> list[Mistake]:
    """The wrong predictions with the greatest probability, read back with their pictures."""
    predicted = predictions.predicted
    confidence = predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != predictions.labels)
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    rows = data.rows_of([predictions.ids[place] for place in chosen])
    return [
        Mistake(
            id=predictions.ids[place],
            truth=predictions.classes[predictions.labels[place]],
            predicted=predictions.classes[predicted[place]],
            probability=float(confidence[place]),
            rgb=rgb,
            depth=depth,
        )
        for place, rgb, depth in zip(chosen, data.read("rgb", rows), data.read("depth", rows), strict=True)
    ]


def _folds_in_words(summary: Mapping[str, Any]) -> str:
    count = len(summary["folds"])
    return f"{count}-fold result" if count > 1 else f"result of fold {summary['folds'][0]['index']} alone"


def _headline(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    def number(key: str, label: str) -> dict[str, str]:
        value = summary[key]
        low, high = value["ci95"]
        return {
            "key": key,
            "label": label,
            "value": f"{value['mean']:.1f} ± {value['std']:.1f} %",
            "detail": f"mean ± standard deviation of the folds; 95 % interval over people {low:.1f} to {high:.1f} %",
        }

    return [number("overall_accuracy", "Overall accuracy"), number("average_accuracy", "Average class accuracy")]


def _explanation(summary: Mapping[str, Any]) -> str:
    chance = 100 / len(summary["classes"])
    best = summary["best_validation_point"]["overall_accuracy"]["mean"]
    return (
        f"{summary['headline']} Chance would be {chance:.1f} %. Choosing for every fold the point of its training at "
        f"which it did best on the very samples it is judged by would give {best:.1f} %: that is a choice made with "
        "the answers in hand, shown here only because others report it."
    )


def _fold_table(summary: Mapping[str, Any]) -> Table:
    columns = ("fold", "trained on", "judged", "overall %", "average %", "macro F1 %", "loss", "best point: overall %")
    rows = [
        [
            str(fold["index"]),
            str(fold["train_samples"]),
            str(fold["val_samples"]),
            f"{fold['overall_accuracy']:.1f}",
            f"{fold['average_accuracy']:.1f}",
            f"{fold['macro_f1']:.1f}",
            f"{fold['loss']:.3f}",
            f"{fold['best']['overall_accuracy']:.1f} (epoch {fold['best']['epoch']:.1f})",
        ]
        for fold in summary["folds"]
    ]
    means = [f"{summary[key]['mean']:.1f}" for key in ("overall_accuracy", "average_accuracy", "macro_f1")]
    loss = np.mean([fold["loss"] for fold in summary["folds"]])
    best = f"{summary['best_validation_point']['overall_accuracy']['mean']:.1f}"
    total = ["mean", "", str(sum(fold["val_samples"] for fold in summary["folds"])), *means, f"{loss:.3f}", best]
    return Table(title="Folds", columns=columns, rows=[*rows, total], has_total=True)


def _group_tables(summary: Mapping[str, Any]) -> list[Table]:
    titles = {
        "dataset": "By dataset",
        "gender": "By gender",
        "intensity": "By intensity",
        "label_source": "By source of the label",
    }
    tables: list[Table] = []
    for key, title in titles.items():
        groups = summary["groups"].get(key, {})
        if len(groups) > 1:
            rows = [
                [
                    _group_name(key, name),
                    str(g["samples"]),
                    f"{g['overall_accuracy']:.1f}",
                    f"{g['average_accuracy']:.1f}",
                ]
                for name, g in groups.items()
            ]
            tables.append(Table(title=title, columns=(key, "samples", "overall %", "average %"), rows=rows))
    return tables


def _group_name(column: str, value: str) -> str:
    """A group's value in words, where the file says that it does not know or does not have one."""
    if column == "intensity" and value == "0":
        return "not graded"
    return value or "unknown"
