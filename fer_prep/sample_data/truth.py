"""What is known about every written sample: the rows of ``truth.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.action_unit_shapes import Action
from fer_prep.sample_data.camera import Camera, roll_degrees
from fer_prep.sample_data.expressions import mean_activations
from fer_prep.sample_data.plan_mesh import plan_mesh


@dataclass(frozen=True, kw_only=True)
class TruthRow:
    """One sample. Pixels are continuous coordinates of ``picture``; left and right are the subject's.

    ``emotion`` is empty where the default label policy gives none; ``code`` is the native expression code;
    ``action_units`` lists unit:intensity; ``roll_degrees`` is positive for a head leaning clockwise in the picture;
    ``frontal`` is 0 for turned or hidden faces.
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


def truth_row(
    *,
    dataset: str,
    sample: str,
    subject: str,
    gender: str,
    emotion: str,
    code: str,
    actions: tuple[Action, ...],
    picture: str,
    camera: Camera,
    posed: NDArray[np.float64],
    ethnicity: str = "",
    intensity: int = 0,
    frontal: bool = True,
) -> TruthRow:
    """The row of a head whose points lie at ``posed`` (V, 3) mm before ``camera``; names without the dataset."""
    landmarks = posed[plan_mesh().landmarks]
    eyes = np.array([landmarks[[0, 4]].mean(axis=0), landmarks[[8, 12]].mean(axis=0)])
    left, right = camera.project(eyes)
    return TruthRow(
        dataset=dataset,
        sample=f"{dataset}/{sample}",
        subject=f"{dataset}:{subject}",
        gender=gender,
        ethnicity=ethnicity,
        emotion=emotion,
        code=code,
        intensity=intensity,
        action_units=action_text(actions),
        picture=picture,
        picture_width=camera.size[0],
        picture_height=camera.size[1],
        roll_degrees=roll_degrees(left, right),
        left_eye_x=float(left[0]),
        left_eye_y=float(left[1]),
        right_eye_x=float(right[0]),
        right_eye_y=float(right[1]),
        eye_distance_mm=float(np.linalg.norm(eyes[0] - eyes[1])),
        frontal=int(frontal),
    )


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
