"""What is known about every written sample: the rows of ``truth.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields

from fer_prep.sample_data.action_unit_shapes import Action
from fer_prep.sample_data.expressions import mean_activations


@dataclass(frozen=True, kw_only=True)
class TruthRow:
    """One sample. Pixels are continuous coordinates of ``picture``; left and right are the subject's.

    ``emotion`` is empty where the dataset's own label policy gives none; ``action_units`` lists unit:intensity.
    """

    dataset: str
    sample: str
    subject: str
    gender: str
    ethnicity: str
    emotion: str
    code: str
    intensity: int
    action_units: str
    picture: str
    picture_width: int
    picture_height: int
    roll_degrees: float
    left_eye_x: float
    left_eye_y: float
    right_eye_x: float
    right_eye_y: float
    eye_distance_mm: float
    frontal: int
    depth_missing: int


def action_text(actions: tuple[Action, ...]) -> str:
    """``1:0.95 4:0.52``: units at 0.05 and more, mean of both sides."""
    levels = mean_activations(actions)
    return " ".join(f"{unit}:{level:.2f}" for unit, level in sorted(levels.items()) if level >= 0.05)


def truth_csv(rows: Iterable[TruthRow]) -> bytes:
    """The table, one line a sample, in the order given."""
    stream = io.StringIO()
    names = [field.name for field in fields(TruthRow)]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow([f"{value:.3f}" if isinstance(value, float) else value for value in values])
    return stream.getvalue().encode("utf-8")
