"""A start for small datasets: the network of a preset learns from people whom nobody will be judged by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from fer_prep.progress import Progress, silent
from fer_train.config import Config
from fer_train.models.model_file import load_model, save_start
from fer_train.models.starts import is_ours
from fer_train.training.cross_validate import FoldChoice, Say, cross_validate
from fer_train.training.fold import FoldResult
from fer_train.training.run_folder import RunFolder

FOLDS_OF_PEOPLE: Final = 10
"""One of so many is kept apart, to tell what was learned."""


def start_settings(config: Config) -> Config:
    """The same without the start that comes with the program, whose place it is to take, and without discriminants
    beside the network, which every training fits anew.
    """
    weights = "" if is_ours(config.model.weights) else config.model.weights
    model = replace(config.model, weights=weights, with_classical=False)
    return replace(config, name=f"pretrain-{config.name}", model=model)


def pretrain(
    data_path: Path, out: Path, *, config: Config, run: RunFolder, say: Say = print, progress: Progress = silent
) -> FoldResult:
    """Train on nine tenths of the people, judge the others, and write the network as the one file ``out``.

    ``config`` is of ``start_settings``; training can be resumed in ``run``.
    """
    choice = FoldChoice(number=FOLDS_OF_PEOPLE)
    trained = cross_validate(data_path, config=config, folds=choice, run=run, only=0, say=say, progress=progress)
    network, description = load_model(run.fold(0), device=torch.device("cpu"))
    save_start(out, network.state_dict(), description=description)
    return trained.results[0]
