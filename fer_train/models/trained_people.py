"""Whom a trained network has seen: what must be known before anybody is judged by it, or by what starts from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_train.models.model_file import DESCRIPTION, model_folders, read_description, start_description


def people_trained_on(run: Path) -> set[str]:
    """Subjects that any network of ``run``, a run, the folder of one fold or a start, has learned from."""
    if (start := start_description(run)) is not None:
        return set(start.people)
    return {person for folder in model_folders(run) for person in read_description(folder / DESCRIPTION).people}


def samples_of_people_trained_on(run: Path, data: DatasetFile) -> NDArray[np.bool_]:
    """(N,) true for every sample of ``data`` by somebody whom ``run`` has learned from."""
    return np.isin(data.column("subject"), sorted(people_trained_on(run)))
