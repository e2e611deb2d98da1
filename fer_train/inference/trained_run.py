"""A finished run together with its data: every fold's network beside the samples that it judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.folds.splits import FoldManifest, read_folds
from fer_prep.progress import Progress, silent
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import Inputs, to_floats
from fer_train.inference.evaluate import load_for
from fer_train.metrics.predictions import Predictions
from fer_train.models.model_file import DESCRIPTION, ModelDescription, load_model, read_description
from fer_train.models.network import ExpressionNetwork
from fer_train.training.run_folder import RunFolder, read_history

BATCH: Final = 64


@final
@dataclass(frozen=True, kw_only=True)
class TrainedFold:
    """One fold's network in evaluation mode, and how to feed it."""

    index: int
    network: ExpressionNetwork
    description: ModelDescription
    val: tuple[str, ...]
    """Ids of the samples that the fold judged."""
    data: ImageDataset

    def inputs(self, ids: Sequence[str]) -> Iterator[tuple[Inputs, Tensor]]:
        """Batches of normalised inputs, name → (B, C, S, S), and labels (B,), in the order of ``ids``."""
        batches = self.data.rows_of(ids).split(BATCH)
        for rows, stored in zip(batches, self.data.batches(batches), strict=True):
            yield self.description.normalisation(to_floats(stored)), self.data.labels_of(rows)


@final
@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A finished run, opened for study."""

    run: RunFolder
    manifest: FoldManifest
    predictions: Predictions
    data: ImageDataset

    @classmethod
    def open(cls, path: Path, data_path: Path, *, device: torch.device, progress: Progress = silent) -> TrainedRun:
        """Read a run and the dataset it was made with; another dataset is refused."""
        run = RunFolder.open(path)
        run.read_summary()
        predictions = run.read_predictions()
        with DatasetFile.open(data_path) as file:
            manifest = read_folds(run.folds_file, data=file)
        description = read_description(run.fold(int(predictions.folds[0])) / DESCRIPTION)
        data = load_for(description, data_path, device=device, progress=progress)
        return cls(run=run, manifest=manifest, predictions=predictions, data=data)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        return self.run.read_summary()

    def history(self, index: int) -> list[dict[str, float]]:
        """The rows of a fold's ``history.csv``; none where it has no such file."""
        path = self.run.fold(index) / "history.csv"
        return read_history(path) if path.exists() else []

    def pictures(self, ids: Sequence[str]) -> dict[str, NDArray[np.uint8 | np.uint16]]:
        """Stored modality → (n, H, W, 3) or (n, H, W) of the samples ``ids``, as they are in the file."""
        rows = self.data.file.rows_of(ids)
        return {name: self.data.file.read(name, rows) for name in ("rgb", "depth")}

    @property
    def fold_numbers(self) -> list[int]:
        """The folds that were trained: all, or one where the run is that of ``fit``."""
        return sorted(set(self.predictions.folds.tolist()))

    def fold(self, index: int) -> TrainedFold:
        """Load one fold's network; a fold that was not trained is an error."""
        if index not in self.fold_numbers:
            known = ", ".join(str(number) for number in self.fold_numbers)
            raise UsageError(f"this run has no trained fold {index}; it has: {known}", path=self.run.path)
        network, description = load_model(self.run.fold(index), device=self.data.device)
        description.normalisation.to(self.data.device)
        return TrainedFold(
            index=index,
            network=network,
            description=description,
            val=tuple(self.manifest.fold(index).val),
            data=self.data,
        )
