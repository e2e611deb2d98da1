"""The triangulation of the face plan: dense at eyes, nose and mouth, with lids and lips on mesh edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, KDTree

from fer_prep.sample_data.face_plan import (
    EYE_INNER,
    EYE_OUTER,
    MOUTH_CORNER,
    PLAN_BOTTOM_MM,
    PLAN_TOP_MM,
    UNROLLED_LIMIT_MM,
    frontal_x,
    inner_lip_y,
    landmark_plan,
    lid_y,
    unrolled_x,
)

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

SKIN, LEFT_EYE, RIGHT_EYE, MOUTH = range(4)
"""What a triangle of the plan belongs to."""

LID_STATIONS: Final = 25
LIP_STATIONS: Final = 43
FINE_REGIONS: Final = (
    (10.0, 54.0, -14.0, 14.0),
    (-54.0, -10.0, -14.0, 14.0),
    (-22.0, 22.0, -58.0, -14.0),
    (-33.0, 33.0, -88.0, -56.0),
)
"""x low, x high, y low, y high of the eyes, the nose and the mouth."""
FRONT_REGION: Final = (-62.0, 62.0, -120.0, 58.0)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An eye or the mouth: its inner vertices hang between an upper and a lower edge.

    ``upper_edge`` and ``lower_edge`` (n,) run from small to large x and share their first and last vertex;
    ``inner`` (m,) are the vertices between them, at ``station`` (m,) along the edges (a fractional index) and at
    ``height`` (m,), 0 on the lower and 1 on the upper edge.
    """

    upper_edge: Indices
    lower_edge: Indices
    inner: Indices
    station: Array
    height: Array


@dataclass(frozen=True, kw_only=True)
class PlanMesh:
    """The mesh that all people share.

    ``xy`` (V, 2) frontal mm; ``unrolled`` (V,) unrolled x in mm; ``faces`` (F, 3), counter-clockwise seen from the
    front; ``part`` (F,) of SKIN, LEFT_EYE, RIGHT_EYE, MOUTH; ``landmarks`` (83,) vertex of each ``.bnd`` row.
    """

    xy: Array
    unrolled: Array
    faces: NDArray[np.int32]
    part: NDArray[np.int8]
    landmarks: Indices
    openings: dict[int, Opening]


def _hexagonal(limits: tuple[float, float, float, float], spacing: float) -> Array:
    """(n, 2) points of a hexagonal grid over a rectangle, symmetric about x = 0."""
    x_low, x_high, y_low, y_high = limits
    rows = np.arange(y_low, y_high, spacing * np.sqrt(0.75))
    count = round((x_high - x_low) / spacing)
    x, y = np.meshgrid(np.linspace(x_low, x_high, count + 1), rows)
    shifted = (np.arange(len(rows)) % 2 == 1)[:, None]
    x = np.where(shifted, x + (x_high - x_low) / count / 2, x)
    points = np.column_stack([x.ravel(), y.ravel()])
    return points[points[:, 0] <= x_high + 1e-9]


def _inside(points: Array, limits: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    x_low, x_high, y_low, y_high = limits
    x, y = points[:, 0], points[:, 1]
    return (x > x_low) & (x < x_high) & (y > y_low) & (y < y_high)


def _background_points() -> Array:
    """(n, 2) unrolled points: coarse at the sides, finer in front, finest at eyes, nose and mouth."""
    coarse = _hexagonal((-UNROLLED_LIMIT_MM, UNROLLED_LIMIT_MM, PLAN_BOTTOM_MM, PLAN_TOP_MM), 4.0)
    middle = _hexagonal(FRONT_REGION, 2.6)
    dense = _hexagonal((-54.0, 54.0, -88.0, 14.0), 1.5)
    in_fine = np.any([_inside(middle, region) for region in FINE_REGIONS], axis=0)
    dense_in_fine = np.any([_inside(dense, region) for region in FINE_REGIONS], axis=0)
    return np.vstack([coarse[~_inside(coarse, FRONT_REGION)], middle[~in_fine], dense[dense_in_fine]])


def _edge_loop(height: Callable[..., Array], xs: Array) -> tuple[Array, Array]:
    """Upper (n, 2) and lower (n − 2, 2) edge points at frontal ``xs``; the corners belong to the upper one."""
    upper = np.column_stack([xs, height(xs, upper=True)])
    lower = np.column_stack([xs[1:-1], height(xs[1:-1], upper=False)])
    return upper, lower


def _edges() -> dict[int, tuple[Array, Array]]:
    """The edges of the three openings in frontal mm."""
    eye_xs = np.linspace(EYE_INNER[0], EYE_OUTER[0], LID_STATIONS)
    mouth_xs = np.linspace(-MOUTH_CORNER[0], MOUTH_CORNER[0], LIP_STATIONS)
    return {
        LEFT_EYE: _edge_loop(lid_y, eye_xs),
        RIGHT_EYE: _edge_loop(lid_y, -eye_xs[::-1]),
        MOUTH: _edge_loop(inner_lip_y, mouth_xs),
    }


def _height_within(points: Array, edges: tuple[Array, Array]) -> tuple[Array, NDArray[np.bool_]]:
    """Relative height (n,) between the edges at each point's x, and whether the point lies strictly inside."""
    upper, lower = edges
    top = np.interp(points[:, 0], upper[:, 0], upper[:, 1])
    closed_lower = np.vstack([upper[:1], lower, upper[-1:]])
    low = np.interp(points[:, 0], closed_lower[:, 0], closed_lower[:, 1])
    height = (points[:, 1] - low) / np.maximum(top - low, 1e-6)
    between = (points[:, 0] > upper[0, 0]) & (points[:, 0] < upper[-1, 0])
    return height, between & (height > 1e-6) & (height < 1 - 1e-6)


def _opening(xy: Array, edges: tuple[Array, Array], first_index: int) -> Opening:
    """The opening whose edge points were stored from vertex ``first_index`` on."""
    upper, lower = edges
    upper_edge = first_index + np.arange(len(upper))
    lower_edge = np.concatenate([upper_edge[:1], upper_edge[-1] + 1 + np.arange(len(lower)), upper_edge[-1:]])
    height, inside = _height_within(xy, edges)
    inside[first_index : first_index + len(upper) + len(lower)] = False
    inner = np.flatnonzero(inside)
    station = np.interp(xy[inner, 0], upper[:, 0], np.arange(len(upper)))
    return Opening(upper_edge=upper_edge, lower_edge=lower_edge, inner=inner, station=station, height=height[inner])


@lru_cache(maxsize=1)
def plan_mesh() -> PlanMesh:
    """The shared mesh, made once a process."""
    edges = _edges()
    edge_points = np.vstack([np.vstack(pair) for pair in edges.values()])
    edge_unrolled = np.column_stack([unrolled_x(edge_points[:, 0]), edge_points[:, 1]])
    background = _background_points()
    distance, _ = KDTree(edge_unrolled).query(background)
    flat = np.vstack([edge_unrolled, background[distance > 0.8]])
    xy = np.column_stack([frontal_x(flat[:, 0]), flat[:, 1]])
    faces = Delaunay(flat).simplices.astype(np.int32)
    faces = _counter_clockwise(flat, faces)
    openings, first = {}, 0
    part = np.zeros(len(faces), np.int8)
    centroids = xy[faces].mean(axis=1)
    for key, pair in edges.items():
        openings[key] = _opening(xy, pair, first)
        part[_height_within(centroids, pair)[1]] = key
        first += len(pair[0]) + len(pair[1])
    landmarks = np.asarray(KDTree(xy).query(landmark_plan())[1], np.int64)
    return PlanMesh(xy=xy, unrolled=flat[:, 0], faces=faces, part=part, landmarks=landmarks, openings=openings)


def _counter_clockwise(points: Array, faces: NDArray[np.int32]) -> NDArray[np.int32]:
    """The same triangles, slivers of the hull dropped, all turned counter-clockwise."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    doubled_area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    turned = np.where(doubled_area[:, None] < 0, faces[:, ::-1], faces)
    return turned[np.abs(doubled_area) > 1e-3]
