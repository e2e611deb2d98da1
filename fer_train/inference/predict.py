"""Predict expressions of pictures: an HDF5 dataset, a folder, or one picture, alone or with its registered depth.

Pictures go the way of those trained on: prepared (before, or here: see ``pictures``), resized, equalised, normalised.
The folds of a run form an ensemble.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.errors import FerError, UsageError
from fer_prep.progress import Progress, silent
from fer_train.csv_text import to_csv
from fer_train.data.images import Images, to_floats
from fer_train.data.inputs import modalities_of
from fer_train.inference.evaluate import Ensemble, load_for
from fer_train.inference.pictures import Recorded, find_pictures, read_picture

BATCH: Final = 64
DATASET_SUFFIXES: Final = (".h5", ".hdf5", ".hdf")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the ensemble says about one picture."""

    id: str
    probabilities: tuple[float, ...]
    """In the order of the ensemble's classes."""

    def best(self, classes: Sequence[str]) -> str:
        """The most probable class."""
        return classes[max(range(len(classes)), key=self.probabilities.__getitem__)]


@dataclass(kw_only=True)
class Predictions:
    """What came of all pictures."""

    made: list[Prediction] = field(default_factory=list[Prediction])
    set_aside: list[FerError] = field(default_factory=list[FerError])
    """One for every picture that could not be used."""


def predict(
    ensemble: Ensemble,
    source: Path,
    *,
    depth: Path | None = None,
    recorded: Recorded | None = None,
    device: torch.device,
    progress: Progress = silent,
) -> Predictions:
    """Predict everything in ``source``: an ``.h5`` file, a folder of pictures, or one picture with its ``depth``.

    A network that looks at RGB alone needs no depth. ``recorded`` says how to prepare pictures that are not prepared.
    A picture that cannot be used is set aside with its error, and the rest goes on; a single one is that error.
    """
    if source.suffix.lower() in DATASET_SUFFIXES:
        return Predictions(made=_predict_dataset(ensemble, source, device=device, progress=progress))
    stored_inputs = modalities_of(ensemble.description.model.input_names)
    needs_depth = "depth" in stored_inputs
    found = find_pictures(source, depth=depth, needs_depth=needs_depth)
    predictions = Predictions()
    waiting: list[tuple[str, Images]] = []
    with progress("predicting", total=len(found)) as advance:
        for files in found:
            try:
                rgb, stored = read_picture(files, needs_depth=needs_depth, recorded=recorded)
            except FerError as error:
                if len(found) == 1:
                    raise
                predictions.set_aside.append(error)
            else:
                arrays = {"rgb": rgb[None], "depth": stored[None]}
                wanted = {name: arrays[name] for name in stored_inputs}
                waiting.append((files.name, ensemble.prepare(wanted, device=device)))
            if len(waiting) == BATCH:
                predictions.made += _answers(ensemble, waiting)
                waiting.clear()
            advance(1)
    if waiting:
        predictions.made += _answers(ensemble, waiting)
    if not predictions.made:
        raise UsageError(
            f"none of its {len(found)} pictures can be used; the first: {predictions.set_aside[0]}", path=source
        )
    return predictions


def _predict_dataset(ensemble: Ensemble, path: Path, *, device: torch.device, progress: Progress) -> list[Prediction]:
    data = load_for(ensemble.description, path, device=device, progress=progress)
    made: list[Prediction] = []
    with progress("predicting", total=len(data)) as advance:
        batches = torch.arange(len(data)).split(BATCH)
        for rows, stored in zip(batches, data.batches(batches), strict=True):
            answer = ensemble.probabilities(to_floats(stored)).cpu().numpy()
            made += _named(data.ids[rows.numpy()].tolist(), answer)
            advance(len(rows))
    return made


def _answers(ensemble: Ensemble, waiting: Sequence[tuple[str, Images]]) -> list[Prediction]:
    images = {name: torch.cat([one[name] for _, one in waiting]) for name in waiting[0][1]}
    return _named([name for name, _ in waiting], ensemble.probabilities(images).cpu().numpy())


def _named(ids: Sequence[str], probabilities: NDArray[np.float64]) -> list[Prediction]:
    return [
        Prediction(id=name, probabilities=tuple(row)) for name, row in zip(ids, probabilities.tolist(), strict=True)
    ]


def to_csv_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """``id,predicted,<class>,…``, one line a picture."""
    lines = ([p.id, p.best(classes), *(f"{value:.8g}" for value in p.probabilities)] for p in predictions)
    return to_csv(("id", "predicted", *classes), lines)


def to_json_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """A JSON list of ``{"id", "predicted", "probabilities": {class: p}}``."""
    entries = [
        {"id": p.id, "predicted": p.best(classes), "probabilities": dict(zip(classes, p.probabilities, strict=True))}
        for p in predictions
    ]
    return json.dumps(entries, indent=1) + "\n"


FORMATS: Final = {"csv": to_csv_text, "json": to_json_text}


def check_format(name: str) -> None:
    """Raise UsageError for a format that does not exist."""
    if name not in ("table", *FORMATS):
        raise UsageError(f"--format {name!r}: expected table, csv or json")
