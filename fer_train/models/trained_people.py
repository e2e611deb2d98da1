"""Whom a trained network has seen: what must be known before anybody is judged by it, or by what starts from it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FoldsError
from fer_train.config import ModelSettings
from fer_train.models.model_file import DESCRIPTION, model_folders, read_description


def people_trained_on(run: Path) -> set[str]:
    """Subjects that any network of ``run``, a run or the folder of one fold, has learned from."""
    return {person for folder in model_folders(run) for person in read_description(folder / DESCRIPTION).people}


def samples_of_people_trained_on(run: Path, data: DatasetFile) -> NDArray[np.bool_]:
    """(N,) true for every sample of ``data`` by somebody whom ``run`` has learned from."""
    return np.isin(data.column("subject"), sorted(people_trained_on(run)))


def refuse_unnoticed_people(
    learned: Iterable[str], *, judged: set[str], both_sides: set[str], model: ModelSettings, place: Path
) -> None:
    """Raise FoldsError where a network judges people it has learned from, though its fold has them on one side only.

    ``both_sides``: whom the fold itself has there, as its protocol says and every report repeats.
    """
    unnoticed = sorted((judged & set(learned)) - both_sides)
    if unnoticed and model.same_names == "refuse":
        raise FoldsError(
            f"this network has learned from {len(unnoticed)} of the people it is to judge "
            f"({', '.join(unnoticed[:3])}{' …' if len(unnoticed) > 3 else ''}), whom its fold does not train on",
            path=place,
            hint="folds.json and the folders of the folds do not belong together: train anew",
        )
