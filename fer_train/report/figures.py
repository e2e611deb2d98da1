"""The figures of a run, drawn with Matplotlib's object interface (no global state, no display)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fer_prep.atomic_files import replacing

BLUE: Final = "#1f5fa8"
ORANGE: Final = "#d9731a"
GREY: Final = "#8a8f98"
DOTS_PER_INCH: Final = 150

History = Sequence[Mapping[str, float]]
"""The rows of one fold's ``history.csv``."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One wrongly classified sample, with its pictures."""

    id: str
    truth: str
    predicted: str
    probability: float
    """Of the predicted class."""
    rgb: NDArray[np.uint8]
    """(H, W, 3)."""
    depth: NDArray[np.uint16]
    """(H, W) as stored: 0 is no data, larger is farther."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all, without a date inside: equal figures give equal bytes."""
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None}, bbox_inches="tight")


def confusion_figure(
    counts: NDArray[np.int64 | np.float64], classes: Sequence[str], *, normalise: bool, of: str = "all folds summed"
) -> Figure:
    """Truth down, prediction across; ``counts`` (K, K), shown as counts or as percent of each row."""
    sizes = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(sizes, 1)
    figure, axes = _blank(width=0.75 * len(classes) + 1.6, height=0.7 * len(classes) + 1.2)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*counts.shape):
        text = f"{shares[row, column]:.0f}" if normalise else f"{counts[row, column]}"
        dark = shares[row, column] > 55
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "#20242a", fontsize=9)
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="truth")
    axes.set_title(f"Percent of each true class, {of}" if normalise else f"Samples, {of}", fontsize=10)
    axes.spines[:].set_visible(False)
    if normalise:
        figure.colorbar(image, ax=axes, fraction=0.045, pad=0.03, label="%")
    return figure


def curves_figure(histories: Sequence[History]) -> Figure:
    """Loss and accuracy of every fold (thin: one fold; thick: mean), validation as points, and the One-Cycle rates."""
    figure = Figure(figsize=(8, 8.2), layout="constrained")
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
    _draw_rates(rate, histories[0])
    for axes in (loss, accuracy, rate):
        _tidy(axes)
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
        axes.plot(
            [epoch for epoch, _ in points[0]], mean, color=ORANGE, linewidth=2, label="validation (mean of folds)"
        )


def _draw_rates(axes: Axes, history: History) -> None:
    epochs = [row["epoch"] for row in history]
    axes.plot(epochs, [row["rate_backbone"] for row in history], color=GREY, label="backbones")
    axes.plot(epochs, [row["rate_fusion"] for row in history], color=GREY, linestyle="--", label="fusion")
    axes.set(ylabel="learning rate", xlabel="epoch", yscale="log")
    axes.legend(frameon=False, fontsize=8, title="One-Cycle", title_fontsize=8)


def class_bars_figure(per_class: Mapping[str, Mapping[str, float]], *, chance: float) -> Figure:
    """Recall and precision of every class in percent; ``per_class`` maps a class to them."""
    names = list(per_class)
    places = np.arange(len(names))
    figure, axes = _blank(width=8, height=3.2)
    for shift, key, colour in ((-0.2, "recall", BLUE), (0.2, "precision", ORANGE)):
        values = [per_class[name][key] for name in names]
        axes.bar(places + shift, values, width=0.38, color=colour, label=key)
        for place, value in zip(places, values, strict=True):
            axes.text(place + shift, value + 1, f"{value:.0f}", ha="center", fontsize=8)
    axes.axhline(chance, color=GREY, linestyle=":", linewidth=1)
    axes.text(len(names) - 0.45, chance + 1, "chance", color=GREY, fontsize=8, ha="right")
    axes.set_xticks(places, names, rotation=20, ha="right", rotation_mode="anchor")
    axes.set(ylabel="%", ylim=(0, 112))
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    _tidy(axes)
    return figure


def mistakes_figure(mistakes: Sequence[Mistake], *, columns: int = 6) -> Figure:
    """RGB over depth of every mistake, with truth, prediction and the probability given to it."""
    rows = -(-len(mistakes) // columns)
    figure = Figure(figsize=(1.5 * columns, 3.6 * rows), layout="constrained")
    grid = np.atleast_2d(figure.subplots(2 * rows, columns, squeeze=False))
    for axes in grid.flat:
        axes.set_axis_off()
    for index, mistake in enumerate(mistakes):
        row, column = divmod(index, columns)
        above, below = grid[2 * row, column], grid[2 * row + 1, column]
        above.imshow(mistake.rgb)
        above.set_title(
            f"{mistake.truth}\n→ {mistake.predicted} {100 * mistake.probability:.0f} %", fontsize=8, linespacing=1.15
        )
        below.imshow(shade_depth(mistake.depth), cmap="gray", vmin=0, vmax=1)
        below.set_title(mistake.id.split("/")[-1], fontsize=5.5, color=GREY, pad=2)
    return figure


def shade_depth(depth: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Stored depth → near bright, far dark, no data black, spread between the 2nd and 98th percentile."""
    valid = depth > 0
    if not valid.any():
        return np.zeros(depth.shape)
    near, far = np.percentile(depth[valid], (2, 98))
    shade = 1 - 0.85 * np.clip((depth - near) / max(far - near, 1), 0, 1)
    return np.where(valid, shade, 0)


def _moving_average(values: Sequence[float], *, steps: int) -> NDArray[np.float64]:
    """Mean over the last ``steps`` values; over fewer at the start."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - steps, 0)
    return (sums[stop] - sums[start]) / (stop - start)


def _blank(*, width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _tidy(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
