"""Features in the course of training (thesis, Figure 3.13): the fold is trained once more, looking in on the way."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from fer_prep.errors import UsageError
from fer_train.analysis.embed import Features
from fer_train.inference.trained_run import TrainedRun
from fer_train.training.fold import run_fold
from fer_train.training.loop import FoldTraining
from fer_train.training.machine import set_up_machine


def features_at_epochs(trained: TrainedRun, index: int, *, epochs: Sequence[int]) -> list[Features]:
    """The same at the ends of the given epochs (counted from 1), by training the fold once more, with its own settings.

    Nothing of the run is changed. Training repeats itself exactly on the CPU; on a GPU only where it was deterministic.
    """
    config = trained.run.config
    beyond = [epoch for epoch in epochs if not 1 <= epoch <= config.training.epochs]
    if beyond:
        raise UsageError(f"this run has epochs 1 to {config.training.epochs}; asked for {beyond[0]}")
    ids = trained.fold(index).val
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
