"""A finished run together with its data: every fold's network beside the samples that it judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.folds.splits import FoldManifest, read_folds
from fer_prep.outputs import may_be_shown
from fer_prep.progress import Progress, silent
from fer_train.data.image_dataset import ImageDataset
from fer_train.inference.predictor import Predictor
from fer_train.metrics.predictions import Predictions
from fer_train.models.trained_people import refuse_unnoticed_people
from fer_train.training.run_folder import RunFolder, read_history
from fer_train.training.views import is_frontal


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
        first = Predictor.load(run.fold(int(predictions.folds[0])), device=device)
        data = first.open_data(data_path, progress=progress)
        return cls(run=run, manifest=manifest, predictions=predictions, data=data)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        return self.run.read_summary()

    @property
    def fold_numbers(self) -> list[int]:
        """The folds that were trained: all, or one where the run is that of ``fit``."""
        return sorted(set(self.predictions.folds.tolist()))

    def fold(self, index: int) -> Predictor:
        """One fold's network; a fold that was not trained is an error."""
        folder, fold = self.run.fold(self._trained(index)), self.manifest.fold(index)
        predictor = Predictor.load(folder, device=self.data.device)
        people = self.data.file.column("subject")
        train, val = (set(people[self.rows(ids)].tolist()) for ids in (fold.train, fold.val))
        description = predictor.description
        refuse_unnoticed_people(
            description.people, judged=val, both_sides=train & val, model=description.model, place=folder
        )
        return predictor

    def judged(self, index: int) -> tuple[str, ...]:
        """Ids of the samples that a fold judged."""
        val = np.array(self.manifest.fold(self._trained(index)).val)
        return tuple(val[is_frontal(val)].tolist())

    def _trained(self, index: int) -> int:
        if index not in self.fold_numbers:
            known = ", ".join(str(number) for number in self.fold_numbers)
            raise UsageError(f"this run has no trained fold {index}; it has: {known}", path=self.run.path)
        return index

    def rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of samples in the data."""
        return self.data.rows_of(ids).numpy()

    @cached_property
    def may_be_shown(self) -> NDArray[np.bool_]:
        """(n,) for every prediction, whether the person's picture may be in figures and reports."""
        return may_be_shown(self.data.file)[self.data.file.rows_of(self.predictions.ids)]

    def history(self, index: int) -> list[dict[str, float]]:
        """The rows of a fold's ``history.csv``; none where it has no such file."""
        path = self.run.fold(index) / "history.csv"
        return read_history(path) if path.exists() else []

    def pictures(self, ids: Sequence[str]) -> dict[str, NDArray[np.uint8 | np.uint16]]:
        """Every modality of the file → (n, H, W, 3) or (n, H, W) of the samples ``ids``, as stored."""
        file = self.data.file
        return {name: file.read(name, file.rows_of(ids)) for name in file.modalities}
