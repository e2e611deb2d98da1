"""How well turned faces are read: ``views.csv``, and accuracy by yaw beside the headline, which is of frontal views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fer_prep.atomic_files import write_atomically
from fer_prep.csv_tables import write_table
from fer_prep.dataset.reader import DatasetFile
from fer_train.metrics.predictions import FIRST_COLUMNS, Predictions
from fer_train.metrics.registry import METRICS
from fer_train.metrics.resampling import AnswersByPerson, interval
from fer_train.training.views import is_frontal

VIEWS: Final = "views.csv"
MOST_ANGLES: Final = 15
"""Where there are more, yaw is taken in steps of ``STEP_DEGREES``."""
STEP_DEGREES: Final = 10
ANGLES: Final = ("yaw_degrees", "pitch_degrees")


def joined(parts: Sequence[Predictions]) -> Predictions:
    """One after the other."""
    return Predictions(
        classes=parts[0].classes,
        ids=tuple(name for each in parts for name in each.ids),
        folds=np.concatenate([each.folds for each in parts]),
        labels=np.concatenate([each.labels for each in parts]),
        probabilities=np.concatenate([each.probabilities for each in parts]),
    )


def write_views(turned: Predictions, path: Path, *, data: DatasetFile) -> None:
    """Write ``views.csv``: the columns of ``predictions.csv``, and how each face was turned."""
    rows = data.rows_of(turned.ids)
    first = (turned.ids, turned.folds, turned.labels, turned.predicted, *(data.column(name)[rows] for name in ANGLES))
    cells = (
        [*row, *(f"{value:.8g}" for value in values)] for *row, values in zip(*first, turned.probabilities, strict=True)
    )
    write_atomically(path, content=write_table((*FIRST_COLUMNS, *ANGLES, *turned.classes), cells))


def by_yaw(every: Predictions, *, data: DatasetFile) -> list[dict[str, Any]]:
    """``summary.json``'s ``views``: every metric at each yaw, over all pitches, with the interval over people of the
    first. ``every`` are the answers to all views, the frontal ones among them.
    """
    rows = data.rows_of(every.ids)
    subjects = data.column("subject")[rows]
    # without a suffix the angles say how a face was turned to look at the viewer
    yaw = np.where(is_frontal(np.array(every.ids)), 0, np.rint(data.column(ANGLES[0])[rows])).astype(int)
    if len(np.unique(yaw)) > MOST_ANGLES:
        yaw = STEP_DEGREES * np.rint(yaw / STEP_DEGREES).astype(int)
    found: list[dict[str, Any]] = []
    for angle in np.unique(yaw).tolist():
        chosen = every.only(yaw == angle)
        answers = AnswersByPerson.of(chosen, subjects[yaw == angle])
        ends = interval(METRICS[0], answers, rng=np.random.default_rng(0))
        found.append({ANGLES[0]: angle, "samples": len(chosen.ids), **chosen.scores, f"{METRICS[0].key}_ci95": ends})
    return found
