"""Folds of a network that is fitted at once, not trained by steps."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from fer_prep.folds.splits import FoldManifest
from fer_train.classical.network import ClassicalNetwork
from fer_train.config import Config
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.normalise import FoldNormalisation
from fer_train.models.model_file import build_network, describe, save_model
from fer_train.training.features import Features
from fer_train.training.fold import FoldResult, fold_rows, turned_views


def fit_network(config: Config, *, data: ImageDataset, features: Features, train: Tensor) -> ClassicalNetwork:
    """The network of these settings, fitted to the rows ``train`` (n,)."""
    network = build_network(
        config.model, classes=len(data.classes), image_size=config.data.image_size, pretrained=False
    )
    if not isinstance(network, ClassicalNetwork):
        raise TypeError(f"expected a network that is fitted, found {type(network).__name__}")
    network.fit({name: features[name][train] for name in network.blocks}, data.labels[train].numpy())
    return network


def fit_fold(
    index: int,
    *,
    manifest: FoldManifest,
    data: ImageDataset,
    config: Config,
    features: Features,
    folder: Path | None = None,
) -> FoldResult:
    """Fit fold ``index``, judge the people it has not seen, and write its model into ``folder`` where one is given."""
    fold = manifest.fold(index)
    rows = fold_rows(fold.train, fold.val, data=data, views=False)
    train, judged = rows.train, rows.val
    network = fit_network(config, data=data, features=features, train=train)

    def answer(chosen: Tensor) -> Tensor:
        return network.logits({name: features[name][chosen] for name in network.blocks})[0]

    probabilities = answer(judged).double().softmax(dim=1)
    labels = data.labels[judged]
    if folder is not None:
        description = describe(
            config,
            classes=data.classes,
            normalisation=FoldNormalisation({}),
            people=data.file.column("subject")[train.numpy()].tolist(),
            data_settings=data.file.settings,
        )
        save_model(folder, network.state_dict(), description=description)
    return FoldResult(
        index=index,
        ids=tuple(data.ids[judged.numpy()].tolist()),
        labels=labels.numpy(),
        probabilities=probabilities.numpy(),
        loss=float(torch.nn.functional.nll_loss(probabilities.clamp(min=1e-12).log(), labels)),
        history=[],
        train_samples=len(train),
        turned=turned_views(index, fold.val, data=data, answer=answer),
    )
