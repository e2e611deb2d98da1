"""Cross-dataset matrix: every run judged on every dataset, by people that it has not trained on.

A dataset that a run was trained on is judged out of fold, each person by the network that had not seen them; every
other dataset is judged by all of the run's networks together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.progress import Progress, silent
from fer_train.inference.evaluate import evaluate
from fer_train.metrics.accuracy import score
from fer_train.models.trained_people import samples_of_people_trained_on
from fer_train.training.run_folder import RunFolder, to_csv


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run on one dataset; accuracies in percent."""

    samples: int
    overall_accuracy: float
    average_accuracy: float
    macro_f1: float
    out_of_fold: bool
    """True where the dataset is one that the run was trained on."""


@dataclass(frozen=True, kw_only=True)
class CrossMatrix:
    """Run → dataset → cell; a pair that could not be judged has none."""

    cells: Mapping[str, Mapping[str, Cell]]

    @property
    def datasets(self) -> list[str]:
        """The columns, sorted."""
        return sorted({name for row in self.cells.values() for name in row})

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {run: {name: asdict(cell) for name, cell in row.items()} for run, row in self.cells.items()}

    def write(self, folder: Path) -> None:
        """Write ``matrix.json`` and ``matrix.csv`` (a line a cell)."""
        lines = [(run, name, *asdict(cell).values()) for run, row in self.cells.items() for name, cell in row.items()]
        write_atomically(
            folder / "matrix.csv", content=to_csv(("run", "dataset", *(f.name for f in fields(Cell))), lines)
        )
        RunFolder(folder).write_json("matrix.json", self.to_dict())


def cross_matrix(
    runs: Sequence[Path], data_paths: Sequence[Path], *, device: torch.device, progress: Progress = silent
) -> CrossMatrix:
    """Judge every run on every dataset in the files; what a run was trained on counts out of fold."""
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        raise UsageError(f"two of the runs have the name {max(names, key=names.count)!r}: rename one")
    cells: dict[str, dict[str, Cell]] = {}
    for name, run in zip(names, runs, strict=True):
        row = cells.setdefault(name, {})
        for path in data_paths:
            with DatasetFile.open(path) as file:
                all_known = bool(samples_of_people_trained_on(run, file).all())
            if not all_known:
                report = evaluate(run, path, device=device, progress=progress).report
                row |= {dataset: _cell(entry, out_of_fold=False) for dataset, entry in report["datasets"].items()}
        row |= _out_of_fold(run, data_paths)
    return CrossMatrix(cells=cells)


def _out_of_fold(run: Path, data_paths: Sequence[Path]) -> dict[str, Cell]:
    """The run's own judgements of the samples in the files, by dataset."""
    predictions = RunFolder.open(run).read_predictions()
    wanted: set[str] = set()
    for path in data_paths:
        with DatasetFile.open(path) as file:
            wanted |= set(file.ids.tolist())
    datasets = np.array([name.split("/")[0] if name in wanted else "" for name in predictions.ids])
    return {
        str(dataset): _scored(predictions.labels[datasets == dataset], predictions.probabilities[datasets == dataset])
        for dataset in np.unique(datasets)
        if dataset
    }


def _scored(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Cell:
    return _cell(score(labels, probabilities).to_dict(), out_of_fold=True)


def _cell(entry: Mapping[str, Any], *, out_of_fold: bool) -> Cell:
    kept = ("samples", "overall_accuracy", "average_accuracy", "macro_f1")
    return Cell(**{name: entry[name] for name in kept}, out_of_fold=out_of_fold)
