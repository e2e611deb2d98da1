"""The feature space drawn in the plane: t-SNE of what the classifier sees (thesis, Figures 3.11 and 3.13).

Features are those of samples that the network had not trained on. Every fold has its own network and so its own space:
folds are never mixed in one picture. How well classes are apart is also said in numbers, of the features themselves,
because t-SNE keeps neighbours, not distances (van der Maaten, Hinton 2008).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.csv_tables import write_table
from fer_prep.errors import UsageError
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.plots import GREY, new_figure
from fer_train.training.fold import run_fold
from fer_train.training.loop import FoldTraining
from fer_train.training.machine import set_up_machine
from fer_train.training.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS: Final = (
    "#d62728",
    "#2ca02c",
    "#9467bd",
    "#f2b701",
    "#7f7f7f",
    "#1f77b4",
    "#ff7f0e",
    "#8c564b",
    "#e377c2",
    "#17becf",
)
"""By the order of the classes; they begin again where there are more classes."""


FEWEST_SAMPLES: Final = 5
CROWDED: Final = 200
"""More points than these in a panel are drawn small."""
FRAME: Final = "#d4d8dd"


@dataclass(frozen=True, kw_only=True)
class Features:
    """Feature vectors of the judged samples of one fold at one point of its training."""

    fold: int
    epoch: int | None
    """None: the network that the run kept."""
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    """(n,)."""
    values: NDArray[np.float32]
    """(n, D)."""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Features in the plane."""

    of: Features
    places: NDArray[np.float64]
    """(n, 2), t-SNE."""
    silhouette: float
    """Mean silhouette of the true classes in the feature space, −1 to 1 (Rousseeuw 1987)."""
    separation: float
    """Scatter between the class means over scatter within the classes, of the features (Fisher 1936)."""


def kept_features(trained: TrainedRun, index: int, *, limit: int | None = None) -> Features:
    """What the kept network of fold ``index`` makes of the samples that the fold judged, or of ``limit`` of them."""
    predictor, ids = trained.fold(index), trained.judged(index)
    if limit is not None and len(ids) > limit:
        ids = tuple(ids[place] for place in np.linspace(0, len(ids) - 1, limit).round().astype(int))
    rows = trained.rows(ids)
    values = [predictor.features(images) for images in predictor.images(trained.data, rows)]
    labels = trained.data.labels.numpy()[rows]
    return Features(fold=index, epoch=None, ids=ids, labels=labels, values=np.concatenate(values))


def features_at_epochs(trained: TrainedRun, index: int, *, epochs: Sequence[int]) -> list[Features]:
    """The same at the ends of the given epochs (counted from 1), by training the fold once more, with its own settings
    (thesis, Figure 3.13).

    Nothing of the run is changed. Training repeats itself exactly on the CPU; on a GPU only where it was deterministic.
    """
    config = trained.run.config
    beyond = [epoch for epoch in epochs if not 1 <= epoch <= config.training.epochs]
    if beyond:
        raise UsageError(f"this run has epochs 1 to {config.training.epochs}; asked for {beyond[0]}")
    ids = trained.judged(index)
    found: list[Features] = []

    def keep(epoch: int, training: FoldTraining) -> None:
        if epoch in epochs:
            _, features, labels = training.outputs(training.rows.val)
            found.append(
                Features(fold=index, epoch=epoch, ids=ids, labels=labels.cpu().numpy(), values=features.cpu().numpy())
            )

    with tempfile.TemporaryDirectory() as folder:
        run_fold(
            index,
            manifest=trained.manifest,
            data=trained.data,
            config=config,
            machine=set_up_machine(config.machine),
            folder=Path(folder),
            at_epoch_end=keep,
        )
    return found


def can_be_embedded(features: Features) -> bool:
    """True where there are enough samples to draw, of two classes or more but not of one each."""
    return len(features.values) >= FEWEST_SAMPLES and 2 <= len(np.unique(features.labels)) < len(features.labels)


def embed(features: Features, *, perplexity: float = 30.0, seed: int = 0) -> Embedding:
    """t-SNE of (n, D) features, and how far apart the classes are in them; few samples lower the perplexity."""
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score

    count = len(features.values)
    if not can_be_embedded(features):
        classes = len(np.unique(features.labels))
        raise UsageError(f"fold {features.fold} judged {count} samples of {classes} classes: too few to draw")
    reducer = TSNE(perplexity=min(perplexity, (count - 1) / 3), init="pca", random_state=seed)
    return Embedding(
        of=features,
        places=np.asarray(reducer.fit_transform(features.values), np.float64),
        silhouette=float(silhouette_score(features.values, features.labels)),
        separation=class_separation(features.values, features.labels),
    )


def class_separation(values: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """trace(S_between) / trace(S_within) of (n, D) features; infinite where classes are single points."""
    values = np.asarray(values, np.float64)
    centre = values.mean(axis=0)
    between = within = 0.0
    for label in np.unique(labels):
        members = values[labels == label]
        mean = members.mean(axis=0)
        between += len(members) * float(((mean - centre) ** 2).sum())
        within += float(((members - mean) ** 2).sum())
    return between / within if within else float("inf")


def write_embeddings(embeddings: Sequence[Embedding], folder: Path, *, classes: Sequence[str]) -> None:
    """Write ``embedding.csv`` (a line a sample) and ``embedding.json``, the numbers of ``embedding_figure``."""
    lines = [
        (sample, e.of.fold, "" if e.of.epoch is None else e.of.epoch, classes[label], f"{x:.6g}", f"{y:.6g}")
        for e in embeddings
        for sample, label, (x, y) in zip(e.of.ids, e.of.labels.tolist(), e.places.tolist(), strict=True)
    ]
    write_atomically(folder / "embedding.csv", content=write_table(("id", "fold", "epoch", "class", "x", "y"), lines))
    numbers = [
        {"samples": len(e.of.ids), "fold": e.of.fold, "epoch": e.of.epoch}
        | {"silhouette": e.silhouette, "separation": e.separation}
        for e in embeddings
    ]
    RunFolder(folder).write_json("embedding.json", {"embeddings": numbers})


def embedding_figure(
    embeddings: Sequence[Embedding], classes: Sequence[str], *, columns: int = 3, titles: Sequence[str] = ()
) -> Figure:
    """One panel an embedding, points coloured by true class; ``titles`` of the panels (default: fold and epoch)."""
    columns = min(columns, len(embeddings))
    rows = -(-len(embeddings) // columns)
    figure = new_figure(width=3.6 * columns, height=3.7 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(embeddings) :]:
        axes.set_axis_off()
    for number, (axes, e) in enumerate(zip(grid.flat, embeddings, strict=False)):
        # a frame and no numbers: panels must not run into each other, and t-SNE's axes mean nothing
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(FRAME)
        area = 9 if len(e.of.ids) > CROWDED else 20
        for label, name in enumerate(classes):
            members = e.places[e.of.labels == label]
            axes.scatter(*members.T, s=area, color=COLOURS[label % len(COLOURS)], alpha=0.8, linewidths=0, label=name)
        when = "" if e.of.epoch is None else f", epoch {e.of.epoch}"
        axes.set_title(titles[number] if titles else f"fold {e.of.fold}{when}", fontsize=10)
        numbers = f"silhouette {e.silhouette:.2f} · between/within {e.separation:.2f}"
        axes.text(0.5, -0.03, numbers, transform=axes.transAxes, ha="center", va="top", fontsize=8, color=GREY)
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=min(len(classes), 4), frameon=False, fontsize=8, markerscale=2
    )
    return figure
