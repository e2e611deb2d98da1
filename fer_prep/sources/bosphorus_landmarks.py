"""Bosphorus landmarks under this project's names, and what they tell about the range grid's picture coordinates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fer_prep.errors import Reason, SampleError
from fer_prep.formats.bnt import RangeGrid
from fer_prep.formats.bosphorus_landmarks import LandmarkTable
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.landmark_names import (
    CHIN,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from fer_prep.sample import PointSet, Sample
from fer_prep.sources.landmark_sides import sides_are_exchanged
from fer_prep.sources.marked_face import best_turn, upright_turn

LABELS: Final = {
    "outer left eye corner": LEFT_EYE_OUTER,
    "inner left eye corner": LEFT_EYE_INNER,
    "inner right eye corner": RIGHT_EYE_INNER,
    "outer right eye corner": RIGHT_EYE_OUTER,
    "nose tip": NOSE_TIP,
    "left mouth corner": MOUTH_LEFT,
    "right mouth corner": MOUTH_RIGHT,
    "chin middle": CHIN,
}
"""Label in the file (lower case) → name here."""

SCHEME: Final = "bosphorus-24"
SCHEME_NAMES: Final = (
    "outer left eyebrow", "middle left eyebrow", "inner left eyebrow",
    "inner right eyebrow", "middle right eyebrow", "outer right eyebrow",
    "outer left eye corner", "inner left eye corner", "inner right eye corner", "outer right eye corner",
    "nose saddle left", "nose saddle right", "left nose peak", "nose tip", "right nose peak",
    "left mouth corner", "upper lip outer middle", "right mouth corner",
    "upper lip inner middle", "lower lip inner middle", "lower lip outer middle", "chin middle",
    "ear lobe left", "ear lobe right",
)  # fmt: skip
"""The labels of the dataset's files, in lower case; left is the subject's."""

_ON_GRID_MM: Final = 5.0
"""Landmarks were set by hand, some over holes: further from any measured point they say nothing about the grid."""

_FARTHEST_MM: Final = 10.0
_FEWEST_TO_FIT: Final = 6

_OTHER: Final = {"left": "right", "right": "left"}

Table = Mapping[str, NDArray[np.float64]]


def by_label(table: Table) -> dict[str, NDArray[np.float64]]:
    """The points of a landmark file by label in lower case, with left being the subject's.

    Files that call the picture's left side left have the two words exchanged.
    """
    points = {" ".join(label.lower().split()): point for label, point in table.items()}
    if not sides_are_exchanged(named(points)):
        return points
    return {re.sub("left|right", lambda side: _OTHER[side[0]], label): point for label, point in points.items()}


def named(table: Table) -> dict[str, NDArray[np.float64]]:
    """The points of a landmark file that this project has names for."""
    return {LABELS[key]: point for label, point in table.items() if (key := " ".join(label.lower().split())) in LABELS}


def upright_scan(
    grid: RangeGrid, *, on_scan_mm: LandmarkTable, sample: Sample
) -> tuple[RangeGrid, LandmarkTable, NDArray[np.float64]]:
    """Grid and landmarks set upright by the landmarks, and the (3, 3) by which the grid was turned.

    A grid that an exporter turned is brought back to its landmarks; where both were turned, what they say counts.
    Raises SampleError, naming the landmark file, where the landmarks do not lie on the grid however it is turned.
    """
    if len(on_scan_mm) < _FEWEST_TO_FIT:
        return grid, on_scan_mm, np.eye(3)
    path = sample.files["landmarks_3d"]
    turn, apart_mm = best_turn(np.stack(list(on_scan_mm.values())), surface_mm=_every_third(grid))
    if apart_mm > _FARTHEST_MM:
        raise SampleError(
            stage="read",
            reason=Reason.MISMATCH,
            path=path,
            expected=f"landmarks on the range grid, to {_FARTHEST_MM:g} mm",
            found=f"{apart_mm:.1f} mm away, however it is turned",
        )
    grid = turned_grid(grid, turn)
    both = upright_turn(named(on_scan_mm), surface_mm=_every_third(grid), path=path)
    return turned_grid(grid, both), {label: both @ point for label, point in on_scan_mm.items()}, both @ turn


def turned_grid(grid: RangeGrid, turn: NDArray[np.float64]) -> RangeGrid:
    """The grid with its points turned by (3, 3) about the origin."""
    return replace(grid, points_mm=np.where(grid.valid[..., None], grid.points_mm @ turn.T, grid.points_mm))


def _every_third(grid: RangeGrid) -> NDArray[np.float64]:
    """(n, 3) measured points, fewer of them: a millimetre or two do not matter here, and it is nine times faster."""
    return grid.points_mm[::3, ::3][grid.valid[::3, ::3]]


def point_set(scene: GridScene, *, in_picture_px: Table, on_scan_mm: Table) -> PointSet:
    """All landmarks of a scan, from its two tables by label: on the scan, or else where the picture shows them."""
    points_mm = np.array([on_scan_mm.get(name, np.full(3, np.nan)) for name in SCHEME_NAMES])
    points_px = scene.project(points_mm)
    of_picture = scene.from_picture(in_picture_px)
    for row, name in enumerate(SCHEME_NAMES):
        if name not in on_scan_mm and name in of_picture:
            points_px[row] = of_picture[name]
    return PointSet(names=SCHEME_NAMES, points_px=points_px, points_mm=points_mm)


def picture_misfit(
    grid: RangeGrid, *, in_picture_px: Table, on_scan_mm: Table, size: tuple[int, int]
) -> tuple[float, float]:
    """Median distance, in pixels, between a landmark's place in the picture and where the grid puts it.

    Two numbers: with v measured from the top of the picture, and from its bottom; NaN where the two files share no
    landmark that lies on the grid. ``size`` is the picture's width and height.
    """
    shared = [label for label in on_scan_mm if label in in_picture_px]
    if not shared:
        return float("nan"), float("nan")
    uv, apart_mm = _grid_uv_at(grid, np.stack([on_scan_mm[label] for label in shared]))
    pixels = np.stack([in_picture_px[label] for label in shared])[apart_mm < _ON_GRID_MM]
    uv = uv[apart_mm < _ON_GRID_MM]
    if not len(uv):
        return float("nan"), float("nan")
    flipped = np.column_stack([uv[:, 0], 1 - uv[:, 1]])
    from_top, from_bottom = (float(np.median(np.linalg.norm(place * size - pixels, axis=1))) for place in (uv, flipped))
    return from_top, from_bottom


def v_runs_upward(grid: RangeGrid) -> bool:
    """True where b grows with y, so that it must be measured from the picture's bottom.

    For scans without landmark files: sensor and picture are upright alike, so whatever is higher on the scan is
    nearer to the picture's upper border.
    """
    y, b = grid.points_mm[grid.valid][:, 1], grid.image_uv[grid.valid][:, 1]
    return bool(np.mean((y - y.mean()) * (b - b.mean())) > 0)


def _grid_uv_at(grid: RangeGrid, points_mm: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) picture fractions of a measured point next to each of ``points_mm`` (n, 3), and its distance."""
    apart_mm, nearest = KDTree(_every_third(grid)).query(points_mm)
    return grid.image_uv[::3, ::3][grid.valid[::3, ::3]][nearest], apart_mm
