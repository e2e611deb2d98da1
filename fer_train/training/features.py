"""The features that discriminants are fitted to: computed once for all folds, and kept in the run folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fer_prep.atomic_files import replacing
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError, UsageError
from fer_prep.progress import Progress, silent
from fer_train.classical.blocks import block_named, features_of, parse_blocks
from fer_train.classical.landmarks import PLACES, SCHEME, landmarks_of
from fer_train.config import Config
from fer_train.data.image_dataset import ROWS_AT_ONCE, ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.inputs import modalities_of
from fer_train.models import network_class

Features = Mapping[str, Tensor]
"""Block → (N, 2, D): of every sample of a dataset and of its mirror image."""


class OutOfTime(FerError):
    """The features would not be ready when they have to be."""


def settle_blocks(config: Config, file: DatasetFile, *, say: Callable[[str], None] = lambda text: None) -> Config:
    """The settings with those blocks alone that the dataset has something for, at least one; the modalities likewise,
    where the network has no use for others.
    """
    modalities = [name for name in modalities_of(config.model.input_names) if name in file.modalities]
    there = set(modalities)
    if SCHEME in file.landmark_schemes and not np.isnan(file.landmarks(SCHEME).points_px).all():
        there.add(PLACES)
    wanted = parse_blocks(config.model.blocks)
    kept = [name for name in wanted if set(block_named(name).needs) <= there]
    for name in wanted:
        if name not in kept:
            missing = ", ".join(sorted(set(block_named(name).needs) - there)).replace(PLACES, f"landmarks {SCHEME}")
            say(f"without {name}: this dataset has no {missing}, or it is not asked for")
    if not kept:
        raise UsageError(f"none of the blocks {config.model.blocks} can be computed of this dataset", path=file.path)
    fitted = network_class(config.model.network).fitted
    inputs = ",".join(modalities) if fitted else config.model.inputs
    return replace(config, model=replace(config.model, blocks=",".join(kept), inputs=inputs))


def compute_features(
    data: ImageDataset, blocks: Sequence[str], *, progress: Progress = silent, seconds: float = float("inf")
) -> dict[str, Tensor]:
    """``Features`` of all samples of ``data``; ``OutOfTime`` as soon as ``seconds`` will not be enough."""
    found = {name: torch.empty(len(data), 2, block_named(name).width) for name in blocks}
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
    made_of = json.dumps(
        {
            "data": data.file.digest,
            "blocks": {name: block_named(name).digest for name in blocks},
            "image_size": data.image_size,
        }
    )
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
