"""Where in the picture an answer comes from: Grad-CAM of every input (thesis, Figure 3.12).

Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization", ICCV 2017, eq. 1
and 2, taken at the last feature map of each input. With attention fusion the depth name acts through its mask alone,
and its map shows what moved the mask. Every sample is explained by the network that had not trained on its person.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from fer_prep.errors import UsageError
from fer_train.data.images import Inputs
from fer_train.data.inputs import INPUTS
from fer_train.inference.predictor import BATCH
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.plots import GREY, new_figure, show_picture
from fer_train.metrics.predictions import Predictions
from fer_train.models.network import ExpressionNetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ASK_FOR_ALL: Final = "--show-all-subjects shows them too: not for publication"
Pick = Literal["right", "wrong"]
Target = Literal["predicted", "truth"]


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One sample with its maps, all of the network's input size S."""

    id: str
    truth: str
    predicted: str
    probability: float
    """Of the predicted class."""
    pictures: Mapping[str, NDArray[np.uint8 | np.uint16]]
    """Input → what it is made of as stored: colour (S, S, 3) or depth (S, S)."""
    maps: Mapping[str, NDArray[np.float32]]
    """Input → (S, S) in [0, 1]."""


def explain(
    trained: TrainedRun,
    *,
    samples: Sequence[str] = (),
    per_class: int = 2,
    pick: Pick = "right",
    target: Target = "predicted",
) -> list[Explained]:
    """Explain the given samples, or of every class the ``per_class`` most confident right (or wrong) answers."""
    predictions = trained.predictions
    shown = trained.may_be_shown
    rows = _rows_named(predictions, samples) if samples else choose(predictions, shown, per_class=per_class, pick=pick)
    if hidden := [predictions.ids[row] for row in rows if not shown[row]]:
        raise UsageError(f"{hidden[0]} may not be shown", path=trained.run.path, hint=ASK_FOR_ALL)
    if not rows:
        raise UsageError(f"this run has no {pick} answer to explain", path=trained.run.path)
    found: dict[tuple[int, str], Explained] = {}
    for index in sorted({int(predictions.folds[row]) for row in rows}):
        mine = predictions.only([row for row in rows if predictions.folds[row] == index])
        targets = mine.labels if target == "truth" else mine.predicted
        found |= {(index, each.id): each for each in _explain_fold(trained, index, mine, targets=targets)}
    return [found[int(predictions.folds[row]), predictions.ids[row]] for row in rows]


def _explain_fold(
    trained: TrainedRun, index: int, mine: Predictions, *, targets: NDArray[np.int64]
) -> Iterator[Explained]:
    """Explain by one fold's network the samples of ``mine`` (n,), for the classes ``targets`` (n,)."""
    predictor, numbers = trained.fold(index), trained.rows(mine.ids)
    wanted = torch.from_numpy(targets).to(predictor.device)
    shown = trained.data.images(torch.from_numpy(numbers))
    maps: dict[str, list[Tensor]] = {}
    for images, chosen in zip(predictor.images(trained.data, numbers), wanted.split(BATCH), strict=True):
        for name, values in grad_cam(predictor.networks[0], predictor.inputs(images), targets=chosen).items():
            maps.setdefault(name, []).append(enlarge(values, size=trained.data.image_size))
    joined = {name: torch.cat(parts).cpu().numpy() for name, parts in maps.items()}
    for place, sample in enumerate(mine.ids):
        predicted = int(mine.predicted[place])
        yield Explained(
            id=sample,
            truth=mine.classes[mine.labels[place]],
            predicted=mine.classes[predicted],
            probability=float(mine.probabilities[place, predicted]),
            pictures={name: _picture(shown[INPUTS[name].stored[0]][place]) for name in joined},
            maps={name: values[place] for name, values in joined.items()},
        )


def _picture(image: Tensor) -> NDArray[np.uint8 | np.uint16]:
    """(C, S, S) integers → (S, S, 3) u1 or, of one channel, (S, S) u2."""
    values = image.permute(1, 2, 0).cpu().numpy()
    return values[..., 0].astype(np.uint16) if values.shape[2] == 1 else values


def choose(predictions: Predictions, shown: NDArray[np.bool_], *, per_class: int, pick: Pick) -> list[int]:
    """Rows of the most confident right (or wrong) answers among ``shown`` (n,), of every true class, class by class."""
    right = predictions.predicted == predictions.labels
    confidence = predictions.probabilities.max(axis=1)
    rows: list[int] = []
    for label in range(len(predictions.classes)):
        members = np.flatnonzero((predictions.labels == label) & (right if pick == "right" else ~right) & shown)
        rows += members[np.argsort(-confidence[members], kind="stable")][:per_class].tolist()
    return rows


def grad_cam(network: ExpressionNetwork, inputs: Inputs, *, targets: Tensor) -> dict[str, Tensor]:
    """Input → (B, h, w) in [0, 1] for normalised inputs and the class (B,) to explain; the network in eval mode.

    Each map is divided by its own maximum; one without any positive evidence stays 0.
    """
    if not network.backbones:
        raise UsageError("this network has no feature maps: there is nothing that could be shown to matter")
    with torch.enable_grad(), _feature_maps(network) as features:
        logits = network(inputs).logits
        # samples do not meet in evaluation mode: the gradient of the sum is each one's own
        score = logits[torch.arange(len(logits), device=logits.device), targets].sum()
        gradients = torch.autograd.grad(score, list(features.values()))
    maps: dict[str, Tensor] = {}
    for (name, values), gradient in zip(features.items(), gradients, strict=True):
        weights = gradient.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        evidence = (weights * values.detach()).sum(dim=1).relu()  # (B, h, w)
        strongest = evidence.amax(dim=(1, 2), keepdim=True)
        maps[name] = evidence / torch.where(strongest > 0, strongest, 1.0)
    return maps


def enlarge(maps: Tensor, *, size: int) -> Tensor:
    """(B, h, w) → (B, size, size), bilinear."""
    return interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]


@contextmanager
def _feature_maps(network: ExpressionNetwork) -> Generator[dict[str, Tensor]]:
    """Collect the last feature map of every input while the block runs."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Tensor) -> None:
            seen[name] = output

        return hook

    handles = [network.backbone(name).register_forward_hook(keep(name)) for name in network.backbones]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _rows_named(predictions: Predictions, samples: Sequence[str]) -> list[int]:
    place = {name: row for row, name in enumerate(predictions.ids)}
    unknown = [name for name in samples if name not in place]
    if unknown:
        raise UsageError(
            f"this run judged no sample {unknown[0]!r}", hint="ids stand in predictions.csv, e.g. " + predictions.ids[0]
        )
    return [place[name] for name in samples]


def contact_sheet(explained: Sequence[Explained]) -> Figure:
    """All samples, two side by side: of every input the picture, and its map over it."""
    blocks = min(2, len(explained))
    names = list(explained[0].maps)
    width, rows = 2 * len(names), -(-len(explained) // blocks)
    figure = new_figure(width=1.35 * width * blocks, height=1.6 * rows)
    grid = figure.subplots(rows, width * blocks, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, sample in enumerate(explained):
        row, block = divmod(number, blocks)
        cells = grid[row, block * width : (block + 1) * width]
        cells[0].set_title(
            f"{sample.truth} → {sample.predicted} {100 * sample.probability:.0f} %", fontsize=7, loc="left"
        )
        cells[-1].set_title(sample.id.split("/")[-1], fontsize=5, color=GREY, loc="right")
        for index, name in enumerate(names):
            plain, marked = cells[2 * index], cells[2 * index + 1]
            for axes in (plain, marked):
                show_picture(axes, sample.pictures[name])
            if sample.maps[name].any():
                marked.imshow(sample.maps[name], cmap="jet", vmin=0, vmax=1, alpha=0.45)
            else:
                box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5}
                words = "no evidence for it"
                marked.text(0.5, 0.05, words, transform=marked.transAxes, ha="center", fontsize=6, bbox=box)
    return figure
