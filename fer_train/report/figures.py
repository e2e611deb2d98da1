"""The figures of a run, ``figures/*.png``: a new one is a function of a trained run and its entry in ``FIGURES``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, final

import numpy as np
from numpy.typing import NDArray

from fer_train.analysis.embed import can_be_embedded, embed, embedding_figure, kept_features, write_embeddings
from fer_train.analysis.explain import choose, contact_sheet, explain
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.plots import BLUE, GREY, ORANGE, confusion_figure, new_figure, save_figure, show_picture, tidy
from fer_train.metrics.registry import METRICS, NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISTAKES_SHOWN: Final = 18
MISTAKES_A_ROW: Final = 6
EXPLAINED: Final = 2
"""Grad-CAM samples of every class."""
EMBEDDED: Final = 2000
"""t-SNE samples of every fold, at most."""

History = Sequence[Mapping[str, float]]
"""The rows of one fold's ``history.csv``."""


@final
@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """One picture of every report."""

    name: str
    """``figures/<name>.png``."""
    draw: Callable[[TrainedRun], Figure | None]
    """None where this run has nothing to draw."""
    title: str = ""
    """Its heading in the page; without one it is a file only."""
    note: str = ""


def draw_figures(trained: TrainedRun) -> None:
    """Write all of ``FIGURES``; what an earlier run left and this one does not have is removed."""
    for entry in FIGURES:
        path = trained.run.figures / f"{entry.name}.png"
        figure = entry.draw(trained)
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            save_figure(figure, path)


def confusion(
    trained: TrainedRun, *, key: str = "confusion_matrix", normalise: bool = True, of: str = "all folds summed"
) -> Figure:
    """Percent of each true class, or samples."""
    return confusion_figure(np.array(trained.summary[key]), trained.summary["classes"], normalise=normalise, of=of)


confusion_mean = partial(confusion, key="confusion_matrix_mean", of="mean of the folds")
"""As papers print it: the mean of the folds' percentages."""


def by_yaw(trained: TrainedRun) -> Figure | None:
    """Overall accuracy over the angle that faces were turned by, with the interval over people where there is one."""
    found = trained.summary.get("views", [])
    if not found:
        return None
    metric, figure = METRICS[0], new_figure(width=6, height=3.4)
    axes = figure.subplots()
    means = np.array([each[metric.key] for each in found])
    ends = np.array([each[f"{metric.key}_ci95"] or (each[metric.key],) * 2 for each in found])
    spread = np.abs(ends.T - means)
    axes.errorbar([each["yaw_degrees"] for each in found], means, yerr=spread, marker="o", capsize=3, color=BLUE)
    axes.set(xlabel="yaw, degrees (to the subject's left)", ylabel=metric.title, ylim=(0, 101))
    tidy(axes)
    return figure


def class_bars(trained: TrainedRun) -> Figure:
    """Recall and precision of every class in percent; a dash for a class without samples, or never answered."""
    per_class = trained.summary["per_class"]
    names = list(per_class)
    places = np.arange(len(names))
    figure = new_figure(width=8, height=3.2)
    axes = figure.subplots()
    for shift, key, colour in ((-0.2, "recall", BLUE), (0.2, "precision", ORANGE)):
        values = [per_class[name][key] for name in names]
        axes.bar(places + shift, [value or 0 for value in values], width=0.38, color=colour, label=key)
        for place, value in zip(places, values, strict=True):
            axes.text(
                place + shift, (value or 0) + 1, NONE if value is None else f"{value:.0f}", ha="center", fontsize=8
            )
    sizes = [f"{name} (n = {per_class[name]['samples']})" for name in names]
    axes.set_xticks(places, sizes, rotation=20, ha="right", rotation_mode="anchor")
    axes.set(ylabel="%", ylim=(0, 112))
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    tidy(axes)
    return figure


def curves(trained: TrainedRun, *, folds: Sequence[int] = ()) -> Figure | None:
    """Loss and accuracy of these folds (default: all; thin: one fold; thick: mean), validation as points, and rates."""
    histories = [trained.history(index) for index in folds or trained.fold_numbers]
    if not all(histories):
        return None
    figure = new_figure(width=8, height=8.2)
    loss, accuracy, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.6))
    for axes, train, val in (
        (loss, "train_loss", "val_loss"),
        (accuracy, "train_accuracy", "val_overall_accuracy"),
    ):
        _draw_training(axes, histories, train)
        _draw_validation(axes, histories, val)
        axes.legend(frameon=False, fontsize=8)
    loss.set(ylabel="loss")
    accuracy.set(ylabel="overall accuracy, %", ylim=(0, 101))
    draw_rates(rate, histories[0])
    show_iterations(loss, histories)
    for axes in (loss, accuracy, rate):
        tidy(axes)
    return figure


def _draw_training(axes: Axes, histories: Sequence[History], name: str) -> None:
    for index, history in enumerate(histories):
        epochs = np.array([row["epoch"] for row in history])
        values = _moving_average([row[name] for row in history], steps=max(1, len(history) // 60))
        label = "training (each fold, smoothed)" if index == 0 else None
        axes.plot(epochs, values, color=BLUE, alpha=0.45, linewidth=1, label=label)


def _draw_validation(axes: Axes, histories: Sequence[History], name: str) -> None:
    points = [[(row["epoch"], row[name]) for row in history if name in row] for history in histories]
    for index, fold in enumerate(points):
        label = "validation (each fold)" if index == 0 else None
        axes.plot(*zip(*fold, strict=True), ".", color=ORANGE, alpha=0.45, markersize=5, label=label)
    lengths = {len(fold) for fold in points}
    if len(points) > 1 and len(lengths) == 1:
        mean = np.mean([[value for _, value in fold] for fold in points], axis=0)
        epochs = [epoch for epoch, _ in points[0]]
        axes.plot(epochs, mean, color=ORANGE, linewidth=2, label="validation (mean of folds)")


def show_iterations(axes: Axes, histories: Sequence[History]) -> None:
    """A second axis above that of the epochs; where folds differ in their iterations an epoch, of their mean."""
    steps = float(np.mean([history[-1]["step"] / history[-1]["epoch"] for history in histories]))  # an epoch
    both_ways = partial(np.multiply, steps), partial(np.multiply, 1 / steps)
    above = axes.secondary_xaxis("top", functions=both_ways)
    above.set_xlabel("iteration")


def draw_rates(axes: Axes, history: History) -> None:
    """The learning rates of one fold, by epoch."""
    epochs = [row["epoch"] for row in history]
    for name, label, line in (("rate_backbone", "backbones", "-"), ("rate_fusion", "fusion", "--")):
        if name in history[0]:
            axes.plot(epochs, [row[name] for row in history], color=GREY, linestyle=line, label=label)
    axes.set(ylabel="learning rate", xlabel="epoch", yscale="log")
    axes.legend(frameon=False, fontsize=8, title="One-Cycle", title_fontsize=8)


def _moving_average(values: Sequence[float], *, steps: int) -> NDArray[np.float64]:
    """Mean over the last ``steps`` values; over fewer at the start."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - steps, 0)
    return (sums[stop] - sums[start]) / (stop - start)


def embedding(trained: TrainedRun) -> Figure | None:
    """The features of every fold by t-SNE, with ``embedding.csv`` and ``.json`` beside it; not of folds too small."""
    features = [kept_features(trained, index, limit=EMBEDDED) for index in trained.fold_numbers]
    embeddings = [embed(each) for each in features if can_be_embedded(each)]
    if not embeddings:
        return None
    write_embeddings(embeddings, trained.run.figures, classes=trained.predictions.classes)
    return embedding_figure(embeddings, trained.predictions.classes)


def grad_cam_of_right_answers(trained: TrainedRun) -> Figure | None:
    """Where the network looked; None where no answer was right, or where it has no maps."""
    if not trained.fold(trained.fold_numbers[0]).networks[0].backbones or not choose(
        trained.predictions, trained.may_be_shown, per_class=EXPLAINED, pick="right"
    ):
        return None
    return contact_sheet(explain(trained, per_class=EXPLAINED, pick="right"))


def worst_mistakes(trained: TrainedRun, *, count: int = MISTAKES_SHOWN) -> list[int]:
    """The rows of the predictions that are wrong with the greatest probability."""
    predictions = trained.predictions
    wrong = np.flatnonzero((predictions.predicted != predictions.labels) & trained.may_be_shown)
    confidence = predictions.probabilities[wrong].max(axis=1)
    return wrong[np.argsort(-confidence, kind="stable")][:count].tolist()


def mistakes(trained: TrainedRun) -> Figure | None:
    """The pictures of the worst mistakes, one below the other, with truth, prediction and its probability."""
    rows, predictions = worst_mistakes(trained), trained.predictions
    if not rows:
        return None
    pictures = trained.pictures([predictions.ids[row] for row in rows])  # modality → (n, H, W[, 3])
    height, lines = len(pictures), -(-len(rows) // MISTAKES_A_ROW)
    figure = new_figure(width=1.5 * MISTAKES_A_ROW, height=1.8 * height * lines)
    grid = figure.subplots(height * lines, MISTAKES_A_ROW, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, row in enumerate(rows):
        line, column = divmod(place, MISTAKES_A_ROW)
        cells = grid[height * line : height * (line + 1), column]
        for axes, pixels in zip(cells, pictures.values(), strict=True):
            show_picture(axes, pixels[place])
        truth, called = (predictions.classes[index[row]] for index in (predictions.labels, predictions.predicted))
        share = f"{100 * predictions.probabilities[row].max():.0f} %"
        cells[0].set_title(f"{truth}\n→ {called} {share}", fontsize=8, linespacing=1.15)
        name = predictions.ids[row].split("/")[-1]
        cells[-1].text(0.5, -0.03, name, transform=cells[-1].transAxes, ha="center", va="top", fontsize=5.5, color=GREY)
    return figure


FIGURES: Final[tuple[ReportFigure, ...]] = (
    ReportFigure(
        name="confusion",
        draw=confusion,
        title="Confusion matrix",
        note="Every sample was judged by the fold that had not trained on it; all folds summed.",
    ),
    ReportFigure(name="confusion-counts", draw=partial(confusion, normalise=False)),
    ReportFigure(name="confusion-mean", draw=confusion_mean),
    ReportFigure(
        name="classes",
        draw=class_bars,
        title="Classes",
        note="Recall: how many of a class were found. Precision: how many of those called so are it.",
    ),
    ReportFigure(
        name="views",
        draw=by_yaw,
        title="Turned faces",
        note="Overall accuracy over yaw, all pitches together. The headline is of frontal views alone.",
    ),
    ReportFigure(
        name="curves",
        draw=curves,
        title="Training",
        note="Thin lines and points are single folds. The headline is the last point of each fold.",
    ),
    ReportFigure(
        name="embedding",
        draw=embedding,
        title="Features",
        note="What the classifier sees of the judged samples, by t-SNE; every fold has a network and a space of its "
        "own. Distances between groups mean little here; the numbers below a panel are of the features themselves.",
    ),
    ReportFigure(
        name="grad-cam-right",
        draw=grad_cam_of_right_answers,
        title="Where it looks",
        note="Grad-CAM of right answers, the most confident of each class: where the evidence lies in what the "
        "network looks at, from blue (none) to red. fer-train explain draws others.",
    ),
    ReportFigure(
        name="mistakes",
        draw=mistakes,
        title="Mistakes",
        note="Those made with the greatest confidence, as stored (depth: bright is near, black is no data).",
    ),
)
"""In the order of the page."""
