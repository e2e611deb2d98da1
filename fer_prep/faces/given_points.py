"""Landmarks from a CSV file: for datasets annotated by hand, or by another tool.

One header line, one line a sample. Column ``id`` holds the sample id (``cald3r/M_010_1_anger``); every landmark has
two columns, ``<name>_x`` and ``<name>_y``, in continuous pixels of the picture as recorded (pixel k spans [k, k + 1),
y down). Names are those of ``landmark_names``; instead of the four eye corners the eye centres ``left_eye`` and
``right_eye`` (the subject's) are enough. Empty cells are unknown points; further columns are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from fer_prep.csv_tables import read_table
from fer_prep.errors import FormatError
from fer_prep.landmark_names import (
    CHIN,
    EYE_CORNERS,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    eye_centres,
)
from fer_prep.sample import Landmarks, Point, Sample, Scene

ID_COLUMN: Final = "id"
EYE_CENTRES: Final[Mapping[str, tuple[str, str]]] = {
    "left_eye": (LEFT_EYE_OUTER, LEFT_EYE_INNER),
    "right_eye": (RIGHT_EYE_OUTER, RIGHT_EYE_INNER),
}
"""An eye's centre stands in for both of its corners."""

POINT_NAMES: Final = (*EYE_CORNERS, NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT, CHIN)


@dataclass(frozen=True, kw_only=True)
class GivenPointsFinder:
    """Looks a sample's points up in ``points_file``, read once per process."""

    points_file: Path

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """The points of the sample's line; None where there is no line or an eye is missing in it."""
        del scene
        points = read_points(self.points_file).get(sample.id, {})
        if eye_centres(points) is None:
            return None
        return Landmarks(points=dict(points), found_by="file")

    def row_text(self, sample: Sample) -> str:
        """The sample's points in one line of text, for its content key."""
        points = read_points(self.points_file).get(sample.id, {})
        return " ".join(f"{name}={x!r},{y!r}" for name, (x, y) in sorted((n, p.tolist()) for n, p in points.items()))


@lru_cache(maxsize=4)
def read_points(path: Path) -> Mapping[str, Mapping[str, Point]]:
    """Sample id → landmark name → (2,) pixels; raises FormatError naming the line that cannot be read."""
    try:
        table = read_table(path)
    except OSError as error:
        raise FormatError(expected="a CSV of landmarks", found=error.strerror or str(error), path=path) from error
    columns = set(table.columns)
    named = [name for name in (*EYE_CENTRES, *POINT_NAMES) if {f"{name}_x", f"{name}_y"} <= columns]
    if ID_COLUMN not in columns or not named:
        raise FormatError(
            expected=f"columns {ID_COLUMN}, left_eye_x, left_eye_y, right_eye_x, right_eye_y or those of single points",
            found=", ".join(table.columns or ["an empty file"]),
            path=path,
        )
    rows: dict[str, dict[str, Point]] = {}
    for number, cells in table.lines:
        sample_id = cells[ID_COLUMN]
        if sample_id in rows or not sample_id:
            found = f"{sample_id} again in line {number}" if sample_id else f"none in line {number}"
            raise FormatError(expected="one line a sample, with its id", found=found, path=path)
        rows[sample_id] = _points_of(cells, named, path=path, line=number)
    return rows


def _points_of(cells: Mapping[str, str], named: list[str], *, path: Path, line: int) -> dict[str, Point]:
    points: dict[str, Point] = {}
    for name in named:
        texts = [cells[f"{name}_{axis}"] for axis in "xy"]
        if not any(texts):
            continue
        try:
            point = np.array([float(text) for text in texts])
        except ValueError:
            point = np.array([math.nan])
        if not np.isfinite(point).all():
            raise FormatError(expected=f"two numbers for {name} in line {line}", found=" ".join(texts), path=path)
        for corner in EYE_CENTRES.get(name, (name,)):
            points[corner] = point  # single points come later in ``named`` and win over the centre
    return points
