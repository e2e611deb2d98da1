"""Folds of a network that is fitted at once, not trained by steps: its features are computed once for all folds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fer_prep.atomic_files import replacing
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError, UsageError, did_you_mean
from fer_prep.folds.splits import FoldManifest
from fer_prep.progress import Progress, silent
from fer_train.classical.blocks import BLOCKS, features_of
from fer_train.classical.landmarks import PLACES, SCHEME, landmarks_of
from fer_train.classical.network import ClassicalNetwork
from fer_train.config import Config
from fer_train.data.image_dataset import ROWS_AT_ONCE, ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.normalise import FoldNormalisation
from fer_train.models.model_file import build_network, describe, save_model
from fer_train.training.fold import FoldResult

FEATURES: Final = "features.safetensors"
Features = Mapping[str, Tensor]
"""Block → (N, 2, D): of every sample of a dataset and of its mirror image."""


class OutOfTime(FerError):
    """The features would not be ready when they have to be."""


def settle_blocks(config: Config, file: DatasetFile, *, say: Callable[[str], None] = lambda text: None) -> Config:
    """The settings with those blocks and modalities alone that the dataset has something for; at least one."""
    there = {name for name in config.model.input_names if name in file.modalities}
    if SCHEME in file.landmark_schemes and not np.isnan(file.landmarks(SCHEME).points_px).all():
        there.add(PLACES)
    wanted = [name.strip() for name in config.model.blocks.split(",")]
    for name in wanted:
        if name not in BLOCKS:
            raise UsageError(f"model.blocks = {config.model.blocks!r}: {did_you_mean(name, BLOCKS)}")
    kept = [name for name in wanted if set(BLOCKS[name].needs) <= there]
    for name in wanted:
        if name not in kept:
            missing = ", ".join(sorted(set(BLOCKS[name].needs) - there)).replace(PLACES, f"landmarks {SCHEME}")
            say(f"without {name}: this dataset has no {missing}, or it is not asked for")
    if not kept:
        raise UsageError(f"none of the blocks {config.model.blocks} can be computed of this dataset", path=file.path)
    inputs = ",".join(name for name in config.model.input_names if name in there)
    return replace(config, model=replace(config.model, blocks=",".join(kept), inputs=inputs))


def compute_features(
    data: ImageDataset, blocks: Sequence[str], *, progress: Progress = silent, seconds: float = float("inf")
) -> dict[str, Tensor]:
    """``Features`` of all samples of ``data``; ``OutOfTime`` as soon as ``seconds`` will not be enough."""
    found = {name: torch.empty(len(data), 2, BLOCKS[name].width) for name in blocks}
    plan = torch.arange(len(data)).split(ROWS_AT_ONCE)
    begin = time.monotonic()
    with progress("computing features", total=len(data)) as advance:
        for rows, stored in zip(plan, data.batches(plan), strict=True):
            images = to_floats(stored) | landmarks_of(data.file, rows.numpy())
            for name, values in features_of(images, blocks).items():
                found[name][rows] = values
            advance(len(rows))
            needed = (time.monotonic() - begin) * len(data) / (int(rows[-1]) + 1)
            if needed > seconds:
                raise OutOfTime(
                    f"computing its features would take {needed:.0f} s, more than the {seconds:.0f} s allowed"
                )
    return found


def kept_features(
    path: Path, data: ImageDataset, blocks: Sequence[str], *, progress: Progress, seconds: float = float("inf")
) -> dict[str, Tensor]:
    """``compute_features``, read from ``path`` where an earlier attempt has left those of the same data."""
    made_of = json.dumps({"data": data.file.digest, "blocks": list(blocks), "image_size": data.image_size})
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
            kept: Any = file
            if kept.metadata() == {"made_of": made_of}:
                return {name: kept.get_tensor(name) for name in blocks}
    except (FileNotFoundError, SafetensorError):
        pass
    found = compute_features(data, blocks, progress=progress, seconds=seconds)
    with replacing(path) as part:
        part.write_bytes(save(found, metadata={"made_of": made_of}))
    return found


def fit_network(config: Config, *, data: ImageDataset, features: Features, train: Tensor) -> ClassicalNetwork:
    """The network of these settings, fitted to the rows ``train`` (n,)."""
    network = build_network(
        config.model, classes=len(data.classes), image_size=config.data.image_size, pretrained=False
    )
    if not isinstance(network, ClassicalNetwork):
        raise TypeError(f"expected a network that is fitted, found {type(network).__name__}")
    network.fit({name: features[name][train] for name in network.discriminants}, data.labels[train].numpy())
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
    train, judged = data.rows_of(fold.train), data.rows_of(fold.val)
    network = fit_network(config, data=data, features=features, train=train)
    logits, _ = network.logits({name: features[name][judged] for name in network.discriminants})
    probabilities = logits.double().softmax(dim=1)
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
        ids=fold.val,
        labels=labels.numpy(),
        probabilities=probabilities.numpy(),
        loss=float(torch.nn.functional.nll_loss(probabilities.clamp(min=1e-12).log(), labels)),
        history=[],
        train_samples=len(train),
    )
