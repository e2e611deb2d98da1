"""Predict expressions of pictures: an HDF5 dataset, a folder, one picture alone or with its depth, or a mesh.

Pictures go the way of those trained on: prepared (before, or here: see ``pictures``), resized, equalised, normalised.
The folds of a run form an ensemble; a person whom some of them know is judged by the others.
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

from fer_prep.csv_tables import write_table
from fer_prep.dataset.pixel_sizes import EYE_DISTANCE_MM
from fer_prep.errors import FerError, InstallationError, UsageError
from fer_prep.progress import Progress, silent
from fer_train.data.cameras import is_camera_known, says_size
from fer_train.data.images import Images
from fer_train.inference.picture_landmarks import PictureLandmarks
from fer_train.inference.pictures import DATASET_SUFFIXES, Recorded, find_pictures, prepared_folder, read_picture
from fer_train.inference.predictor import BATCH, Predictor


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
    notes: list[str] = field(default_factory=list[str])
    """What a reader of the answers must know."""

    def add(self, ids: Sequence[str], probabilities: NDArray[np.float64]) -> None:
        """``probabilities`` (n, K) of the pictures ``ids``."""
        for name, row in zip(ids, probabilities.tolist(), strict=True):
            self.predictions.append(Prediction(id=name, probabilities=tuple(row)))


def predict(
    predictor: Predictor,
    source: Path,
    *,
    depth: Path | None = None,
    prepared: bool = False,
    depth_unit_mm: float = 0.125,
    strangers_only: bool = True,
    progress: Progress = silent,
) -> Answers:
    """Predict everything in ``source``: an ``.h5`` file, a folder of pictures, one with its ``depth``, or a mesh.

    Only what the networks look at is needed. Pictures are prepared on the way, with depth in steps of
    ``depth_unit_mm``, unless they are in a prepared folder or ``prepared`` says that they are. One that cannot be used
    is rejected with its error, and the rest goes on; a single one is that error. Whom all networks have learned from is
    left out; with ``strangers_only=False`` people who are named like some of the training are taken for others.
    """
    answers = Answers()
    if source.suffix.lower() in DATASET_SUFFIXES:
        data = predictor.open_data(source, progress=progress)
        voters = _voters(predictor, data.file.column("subject"), answers, path=source, strangers_only=strangers_only)
        rows = np.flatnonzero(voters.any(axis=0))
        probabilities = predictor.judge(data, rows, voters=voters[:, rows], progress=progress)
        answers.add(data.ids[rows].tolist(), probabilities)
        return answers
    folder = prepared_folder(source)
    preparation, recorded, wanted = predictor.description.preparation, None, predictor.modalities
    if folder is not None:
        for name in ("framing", "mask"):
            theirs, ours = folder.settings[name], preparation.get(name)
            if ours not in (None, theirs):
                answers.notes.append(f"prepared with {name} {theirs!r}, the pictures trained on with {ours!r}")
    elif not prepared:
        recorded = Recorded(preparation=preparation, depth_unit_mm=depth_unit_mm)
        wanted = tuple(dict.fromkeys(("rgb", *wanted)))  # the face is found in the colours
        if "framing" not in preparation:
            answers.notes.append("the run does not say how its data was framed: framed as fer-prep does by default")
    found = find_pictures(source, depth=depth, modalities=wanted, folder=folder)
    people = np.array([picture.row.get("subject", "") for picture in found])
    voters = _voters(predictor, people, answers, path=source, strangers_only=strangers_only)
    judged = np.flatnonzero(voters.any(axis=0)).tolist()
    landmarks, estimated = PictureLandmarks(folder), 0
    if predictor.wants_landmarks and landmarks.note:
        answers.notes.append(landmarks.note)
    with progress("predicting", total=len(judged)) as advance:
        for start in range(0, len(judged), BATCH):
            ready: dict[int, Images] = {}
            for place in judged[start : start + BATCH]:
                try:
                    stored = read_picture(found[place], modalities=predictor.modalities, recorded=recorded)
                    if predictor.wants_landmarks or (predictor.is_metric and not says_size(stored)):
                        stored |= landmarks.of(found[place].name, stored.get("rgb"))
                    ready[place] = predictor.prepare({name: array[None] for name, array in stored.items()})
                    estimated += predictor.is_metric and not is_camera_known(stored)
                except InstallationError:
                    raise
                except FerError as error:
                    if len(found) == 1:
                        raise
                    answers.rejected.append(error)
                advance(1)
            if ready:
                kinds = next(iter(ready.values()))
                together = {kind: torch.cat([images[kind] for images in ready.values()]) for kind in kinds}
                names = [found[place].name for place in ready]
                answers.add(names, predictor.probabilities(together, voters=voters[:, list(ready)]))
    if estimated:
        answers.notes.append(
            f"no camera is known of {estimated} pictures: eyes {EYE_DISTANCE_MM:g} mm apart say how large they are"
        )
    if not answers.predictions:
        first = answers.rejected[0]
        raise UsageError(f"none of its {len(found)} pictures can be used; the first: {first}", path=source)
    return answers


def _voters(
    predictor: Predictor, people: NDArray[np.str_], answers: Answers, *, path: Path, strangers_only: bool
) -> NDArray[np.bool_]:
    """(F, n) which of the networks may judge whom of ``people`` (n,), '' for somebody unknown; ``answers`` says so."""
    voters = predictor.strangers_to(people)
    some, none = voters.any(axis=0) & ~voters.all(axis=0), ~voters.any(axis=0)
    if not strangers_only:
        if not voters.all():
            named = (~voters).any(axis=0).sum()
            answers.notes.append(f"{named} pictures are of people named like some that were trained on")
        return np.ones_like(voters)
    if none.all():
        raise UsageError(
            f"all of its {len(people)} pictures are of people that these networks were trained on",
            path=path,
            hint="if these people only share names with those, add --same-names strangers",
        )
    if some.any():
        answers.notes.append(
            f"{some.sum()} pictures are of people that the run knows: judged by the folds that had not seen them"
        )
    if none.any():
        answers.notes.append(f"{none.sum()} pictures of people that every network was trained on were left out")
    return voters


def to_csv_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """``id,predicted,<class>,…``, one line a picture."""
    lines = ([p.id, p.best(classes), *(f"{value:.8g}" for value in p.probabilities)] for p in predictions)
    return write_table(("id", "predicted", *classes), lines)


def to_json_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """A JSON list of ``{"id", "predicted", "probabilities": {class: p}}``."""
    entries = [
        {"id": p.id, "predicted": p.best(classes), "probabilities": dict(zip(classes, p.probabilities, strict=True))}
        for p in predictions
    ]
    return json.dumps(entries, indent=1) + "\n"


FORMATS: Final = {"csv": to_csv_text, "json": to_json_text}
