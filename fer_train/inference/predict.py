"""Predict expressions of pictures: an HDF5 dataset, a folder, or one picture, alone or with its registered depth.

Pictures go the way of those trained on: prepared (before, or here: see ``pictures``), resized, equalised, normalised.
The folds of a run form an ensemble.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.errors import FerError, UsageError
from fer_prep.progress import Progress, silent
from fer_train.csv_text import to_csv
from fer_train.data.images import Images
from fer_train.inference.pictures import Recorded, find_pictures, read_picture
from fer_train.inference.predictor import BATCH, Predictor

DATASET_SUFFIXES: Final = (".h5", ".hdf5", ".hdf")


@final
@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the networks say about one picture."""

    id: str
    probabilities: tuple[float, ...]
    """In the order of the predictor's classes."""

    def best(self, classes: Sequence[str]) -> str:
        """The most probable class."""
        return classes[max(range(len(classes)), key=self.probabilities.__getitem__)]


@final
@dataclass(frozen=True, kw_only=True)
class Answers:
    """What came of all pictures."""

    predictions: list[Prediction] = field(default_factory=list[Prediction])
    rejected: list[FerError] = field(default_factory=list[FerError])
    """One for every picture that could not be used."""

    def add(self, ids: Sequence[str], probabilities: NDArray[np.float64]) -> None:
        """``probabilities`` (n, K) of the pictures ``ids``."""
        for name, row in zip(ids, probabilities.tolist(), strict=True):
            self.predictions.append(Prediction(id=name, probabilities=tuple(row)))


def predict(
    predictor: Predictor,
    source: Path,
    *,
    depth: Path | None = None,
    recorded: Recorded | None = None,
    progress: Progress = silent,
) -> Answers:
    """Predict everything in ``source``: an ``.h5`` file, a folder of pictures, or one picture with its ``depth``.

    Only what the networks look at is needed. ``recorded`` says how to prepare pictures that are not prepared. A picture
    that cannot be used is rejected with its error, and the rest goes on; a single one is that error.
    """
    answers = Answers()
    if source.suffix.lower() in DATASET_SUFFIXES:
        data = predictor.open_data(source, progress=progress)
        answers.add(data.ids.tolist(), predictor.judge(data, np.arange(len(data)), progress=progress))
        return answers
    found = find_pictures(source, depth=depth, modalities=predictor.modalities, recorded=recorded is not None)
    with progress("predicting", total=len(found)) as advance:
        for start in range(0, len(found), BATCH):
            ready: dict[str, Images] = {}
            for picture in found[start : start + BATCH]:
                try:
                    stored = read_picture(picture, modalities=predictor.modalities, recorded=recorded)
                except FerError as error:
                    if len(found) == 1:
                        raise
                    answers.rejected.append(error)
                else:
                    ready[picture.name] = predictor.prepare({name: array[None] for name, array in stored.items()})
                advance(1)
            if ready:
                together = {m: torch.cat([images[m] for images in ready.values()]) for m in predictor.modalities}
                answers.add(list(ready), predictor.probabilities(together))
    if not answers.predictions:
        first = answers.rejected[0]
        raise UsageError(f"none of its {len(found)} pictures can be used; the first: {first}", path=source)
    return answers


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
