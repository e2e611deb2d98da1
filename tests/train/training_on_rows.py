"""A training of some rows of a tiny dataset, as tests of the loop want it."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_training import tiny_config

from fer_train.data.image_dataset import ImageDataset
from fer_train.training.fold import open_data, prepare_training
from fer_train.training.loop import FoldRows, FoldTraining
from fer_train.training.machine import Machine

CPU = Machine(device=torch.device("cpu"))


def rows(first: int, last: int) -> torch.Tensor:
    """first, first + 1, …, last − 1."""
    return torch.arange(first, last)


def open_tiny(path: Path, **changes) -> ImageDataset:
    """The images as ``tiny_config`` with ``changes`` wants them."""
    return open_data(path, config=tiny_config(**changes), device=CPU.device)


def training_of(
    data: ImageDataset, checkpoint: Path, *, train: torch.Tensor, val: torch.Tensor, inner=None, **changes
) -> FoldTraining:
    """Ready to run; ``training__epochs=3`` changes a setting."""
    return prepare_training(
        FoldRows(train=train, val=val, inner=inner),
        data=data,
        config=tiny_config(**changes),
        machine=CPU,
        seed=7,
        checkpoint=checkpoint,
    )
