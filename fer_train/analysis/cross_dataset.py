"""Cross-dataset matrix: every run judged on every dataset, by people that it has not trained on.

A dataset that a run was trained on is judged out of fold, each person by the network that had not seen them; every
other dataset is judged by all of the run's networks together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_prep.atomic_files import write_atomically
from fer_prep.csv_tables import write_table
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.progress import Progress, silent
from fer_train.inference.evaluate import evaluate
from fer_train.metrics.registry import METRICS
from fer_train.models.trained_people import samples_of_people_trained_on
from fer_train.training.run_folder import RunFolder

Cell = Mapping[str, Any]
"""One run on one dataset: ``samples``, every metric, and ``out_of_fold``: whether the run was trained on it."""


CrossMatrix = Mapping[str, Mapping[str, Cell]]
"""Run → dataset → cell; a pair that could not be judged has none."""


def write_matrix(matrix: CrossMatrix, folder: Path) -> None:
    """Write ``matrix.json`` and ``matrix.csv`` (a line a cell)."""
    columns = ("samples", *(metric.key for metric in METRICS), "out_of_fold")
    lines = [
        (run, name, *(cell[column] for column in columns)) for run, row in matrix.items() for name, cell in row.items()
    ]
    write_atomically(folder / "matrix.csv", content=write_table(("run", "dataset", *columns), lines))
    RunFolder(folder).write_json("matrix.json", matrix)


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
                for dataset, entry in report["datasets"].items():
                    scores = {metric.key: entry[metric.key] for metric in METRICS}
                    row[dataset] = {"samples": entry["samples"], **scores, "out_of_fold": False}
        row |= _out_of_fold(run, data_paths)
    return cells


def _out_of_fold(run: Path, data_paths: Sequence[Path]) -> dict[str, Cell]:
    """The run's own judgements of the samples in the files, by dataset."""
    predictions = RunFolder.open(run).read_predictions()
    wanted: set[str] = set()
    for path in data_paths:
        with DatasetFile.open(path) as file:
            wanted |= set(file.ids.tolist())
    datasets = np.array([name.split("/")[0] if name in wanted else "" for name in predictions.ids])
    return {
        str(name): {
            "samples": int((datasets == name).sum()),
            **predictions.only(datasets == name).scores,
            "out_of_fold": True,
        }
        for name in np.unique(datasets[datasets != ""])
    }
