"""What is known about every written sample: the rows of ``truth.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.action_unit_shapes import Action
from fer_prep.sample_data.camera import Camera
from fer_prep.sample_data.expressions import mean_activations
from fer_prep.sample_data.plan_mesh import plan_mesh


@dataclass(frozen=True, kw_only=True)
class TruthRow:
    """One sample. Pixels are continuous coordinates of ``picture``; left and right are the subject's.

    ``emotion`` is empty where the default label policy gives none; ``code`` is the native expression code;
    ``action_units`` lists unit:intensity, the mean of both sides, from 0.05 on;
    ``roll_degrees`` is positive for a head leaning clockwise in the picture;
    ``frontal`` is 0 for turned or hidden faces.
    """

    dataset: str
    sample: str
    subject: str
    gender: str
    ethnicity: str = ""
    emotion: str
    code: str
    intensity: int = 0
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
    actions: tuple[Action, ...],
    camera: Camera,
    posed: NDArray[np.float64],
    frontal: bool = True,
    **known: Any,
) -> TruthRow:
    """The row of a head whose points lie at ``posed`` (V, 3) mm before ``camera``; names without the dataset.

    ``known`` are fields of the row as they are.
    """
    corners = posed[plan_mesh().landmarks[[0, 4, 8, 12]]]
    eyes = np.array([corners[:2].mean(axis=0), corners[2:].mean(axis=0)])
    left, right = camera.project(eyes)
    levels = sorted(mean_activations(actions).items())
    return TruthRow(
        dataset=dataset,
        sample=f"{dataset}/{sample}",
        subject=f"{dataset}:{subject}",
        action_units=" ".join(f"{unit}:{level:.2f}" for unit, level in levels if level >= 0.05),
        picture_width=camera.size[0],
        picture_height=camera.size[1],
        roll_degrees=float(np.degrees(np.arctan2(*(left - right)[::-1]))),
        left_eye_x=float(left[0]),
        left_eye_y=float(left[1]),
        right_eye_x=float(right[0]),
        right_eye_y=float(right[1]),
        eye_distance_mm=float(np.linalg.norm(eyes[0] - eyes[1])),
        frontal=int(frontal),
        **known,
    )


def truth_csv(rows: Iterable[TruthRow]) -> bytes:
    """The table, one line a sample, in the order given."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(TruthRow)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = asdict(row)
        writer.writerow({name: f"{cell:.3f}" if isinstance(cell, float) else cell for name, cell in cells.items()})
    return stream.getvalue().encode("utf-8")
