"""The thesis's figures of networks and results (3.6–3.14, 3.16, 3.17) of runs: a new one is a function and an entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, final

import numpy as np
import torch

from fer_prep.errors import UsageError, did_you_mean
from fer_train.analysis.embed import embed, embedding_figure, features_at_epochs, kept_features
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.plots import new_figure, tidy
from fer_train.models.spatial_attention import SPATIAL_ATTENTIONS
from fer_train.report.figures import confusion_mean, curves, draw_rates, grad_cam_of_right_answers, show_iterations
from fer_train.report.module_graph import boxes_of_module, boxes_of_network, draw_boxes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS: Final = (2, 6, 10)
"""Of Figure 3.13."""


@final
@dataclass(frozen=True, kw_only=True)
class ResultFigure:
    """One figure."""

    what: str
    draw: Callable[[Sequence[TrainedRun]], Figure | None]
    """None where these runs have nothing to draw."""


def draw_figure(name: str, runs: Sequence[TrainedRun]) -> Figure:
    """A figure of ``FIGURES``; runs that lack what it shows are a UsageError."""
    if name not in FIGURES:
        raise UsageError(f"no figure {name!r} of results; {did_you_mean(name, FIGURES)}")
    figure = FIGURES[name].draw(runs)
    if figure is None:
        raise UsageError(f"this run has nothing to draw for figure {name}", path=runs[0].run.path)
    return figure


def attentions(runs: Sequence[TrainedRun]) -> Figure:
    """Both spatial attentions, as built for this run's feature maps."""
    model = runs[0].run.config.model
    network = runs[0].fold(runs[0].fold_numbers[0]).networks[0]
    if not network.backbones:
        raise UsageError("this network has no feature maps", path=runs[0].run.path)
    first = network.backbone(network.inputs[0])
    figure = new_figure(width=7, height=6.2)
    for axes, (name, build) in zip(figure.subplots(1, 2), reversed(SPATIAL_ATTENTIONS.items()), strict=True):
        module = build(first.channels, reduction=model.attention_reduction).eval()
        draw_boxes(axes, boxes_of_module(module, torch.zeros(1, first.channels, *first.grid)))
        axes.set_title({"lanet": "LANet"}.get(name, name.upper()), fontsize=10)
    return figure


def one_cycle(runs: Sequence[TrainedRun]) -> Figure | None:
    """The learning rates of the first fold."""
    history = runs[0].history(runs[0].fold_numbers[0])
    if not history:
        return None
    figure = new_figure(width=7, height=3)
    axes = figure.subplots()
    draw_rates(axes, history)
    show_iterations(axes, [history])
    tidy(axes)
    return figure


def network(runs: Sequence[TrainedRun]) -> Figure:
    """The parts of the network with the shapes that they give and their parameters."""
    boxes = boxes_of_network(runs[0].fold(runs[0].fold_numbers[0]).networks[0])
    figure = new_figure(width=7, height=0.8 * (1 + max(box.level for box in boxes)))
    draw_boxes(figure.subplots(), boxes)
    return figure


def features_of_bu3dfe(runs: Sequence[TrainedRun]) -> Figure:
    """t-SNE of the BU-3DFE samples that each fold judged."""
    [run, *_] = runs
    embeddings = []
    for index in run.fold_numbers:
        features = kept_features(run, index)
        of = np.char.startswith(np.array(features.ids), "bu3dfe/")
        if not of.any():
            raise UsageError("this figure shows BU-3DFE, of which this run judged nobody", path=run.run.path)
        ids = tuple(np.array(features.ids)[of].tolist())
        embeddings.append(embed(replace(features, ids=ids, labels=features.labels[of], values=features.values[of])))
    return embedding_figure(embeddings, run.predictions.classes)


def features_on_the_way(runs: Sequence[TrainedRun]) -> Figure:
    """A line a run, such as one of each loss: the features of its first fold after some epochs."""
    embeddings, titles = [], []
    for run in runs:
        for features in features_at_epochs(run, run.fold_numbers[0], epochs=EPOCHS):
            embeddings.append(embed(features))
            titles.append(f"{run.run.config.loss.name}, epoch {features.epoch}")
    return embedding_figure(embeddings, runs[0].predictions.classes, columns=len(EPOCHS), titles=titles)


def curves_of_colour_alone(runs: Sequence[TrainedRun]) -> Figure | None:
    """One fold of a run that looked at colour alone."""
    if runs[0].run.config.model.input_names != ("rgb",):
        raise UsageError(
            "this figure shows a network of colour alone", path=runs[0].run.path, hint="train one with --modality rgb"
        )
    return curves(runs[0], folds=runs[0].fold_numbers[:1])


def _of_first(draw: Callable[[TrainedRun], Figure | None]) -> Callable[[Sequence[TrainedRun]], Figure | None]:
    return lambda runs: draw(runs[0])


FIGURES: Final[Mapping[str, ResultFigure]] = {
    "3.6": ResultFigure(what="the spatial attentions CBAM and LANet", draw=attentions),
    "3.7": ResultFigure(what="One-Cycle learning rates", draw=one_cycle),
    "3.8": ResultFigure(what="the network", draw=network),
    "3.9": ResultFigure(what="loss and accuracies over iterations and epochs, all folds", draw=_of_first(curves)),
    "3.10": ResultFigure(what="confusion matrix, mean of the folds", draw=_of_first(confusion_mean)),
    "3.11": ResultFigure(what="features of BU-3DFE by t-SNE", draw=features_of_bu3dfe),
    "3.12": ResultFigure(what="Grad-CAM, two right answers of every class", draw=_of_first(grad_cam_of_right_answers)),
    "3.13": ResultFigure(what="features after 2, 6 and 10 epochs, a line a run", draw=features_on_the_way),
    "3.14": ResultFigure(what="loss and accuracies of colour alone, one fold", draw=curves_of_colour_alone),
    "3.16": ResultFigure(what="as 3.9, of a run on all datasets (Global)", draw=_of_first(curves)),
    "3.17": ResultFigure(what="as 3.10, of a run on all datasets (Global)", draw=_of_first(confusion_mean)),
}
"""Number in the thesis → figure."""
