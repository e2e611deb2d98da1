"""A structured range scan made fit for triangulation: spikes out, small holes closed, depth jumps left open.

Nothing is smoothed: the sensor's noise is the measurement's own, and the surface passes through every node that stays.

The rules, all of them:

- **spike**: a node that is more than ``SPIKE_MM`` away from the mean of *every* pair of opposite neighbours it has,
  with at most one of its eight neighbours within ``SPIKE_MM``. Creases, noses and rims of the scan always have
  neighbours alongside; a spike has none. It becomes a hole.
- **small hole**: a connected set of missing nodes, inside the scan, none of which is further than
  ``FILL_RADIUS_MM`` from a measured node, and whose surroundings are one smooth surface (a quadric fits them to
  ``FILL_RESIDUAL_MM`` root-mean-square). Its nodes are taken from that quadric and marked as filled.
- **jump**: neighbouring nodes whose heights differ by more than ``JUMP_STEEPNESS`` times the distance between nodes
  are not joined: there is no surface between a chin and the neck behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPIKE_MM: Final = 2.0
FILL_RADIUS_MM: Final = 4.0
FILL_RESIDUAL_MM: Final = 1.0
JUMP_STEEPNESS: Final = 8.0
"""The tangent of 83°: a structured-light sensor returns nothing from steeper skin."""

_RING_NODES: Final = 2
"""How far around a hole the surface is fitted."""


@dataclass(frozen=True, kw_only=True)
class CleanGrid:
    """A range grid ready to be joined to triangles.

    ``points_mm`` (R, C, 3) and ``image_uv`` (R, C, 2) float64, finite where ``valid`` (R, C); ``filled`` (R, C) marks
    the valid nodes that were interpolated; ``spikes`` counts the nodes that were taken out.
    """

    points_mm: Array
    image_uv: Array
    valid: Mask
    filled: Mask
    spikes: int


def clean_grid(points_mm: Array, *, image_uv: Array, valid: Mask) -> CleanGrid:
    """Take out spikes and close small holes of a grid (R, C, 3) with picture coordinates (R, C, 2)."""
    values = np.concatenate([points_mm, image_uv], axis=2)
    measured = valid & np.isfinite(values).all(axis=2)
    spikes = find_spikes(np.where(measured, points_mm[:, :, 2], np.nan))
    kept = measured & ~spikes
    values[~kept] = np.nan
    filled = _fill_small_holes(values, kept, pitch_mm=node_distance_mm(points_mm, measured))
    return CleanGrid(
        points_mm=values[:, :, :3],
        image_uv=values[:, :, 3:],
        valid=kept | filled,
        filled=filled,
        spikes=int(np.count_nonzero(spikes)),
    )


def node_distance_mm(points_mm: Array, valid: Mask) -> float:
    """Median distance in x, y between measured neighbours along rows and columns; 1.0 where there are none."""
    xy = np.where(valid[:, :, None], points_mm[:, :, :2], np.nan)
    steps = [np.hypot(*np.moveaxis(np.diff(xy, axis=axis), 2, 0)).ravel() for axis in (0, 1)]
    lengths = np.concatenate(steps)
    lengths = lengths[np.isfinite(lengths)]
    return float(np.median(lengths)) if lengths.size else 1.0


def find_spikes(z_mm: Array) -> Mask:
    """(R, C) the spikes of heights (R, C) with NaN where there is no node; rule in the module's text."""
    around = np.pad(z_mm, 1, constant_values=np.nan)
    rows, columns = z_mm.shape

    def neighbour(down: int, right: int) -> Array:
        return around[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]

    close = np.zeros(z_mm.shape, np.int8)
    unlike_all = np.isfinite(z_mm)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first, second = neighbour(down, right), neighbour(-down, -right)
        # comparisons with NaN are false: a missing neighbour is not close, a missing pair contradicts nothing
        close += np.abs(first - z_mm) <= SPIKE_MM
        close += np.abs(second - z_mm) <= SPIKE_MM
        unlike_all &= ~(np.abs((first + second) / 2 - z_mm) <= SPIKE_MM)
    return unlike_all & (close <= 1)


def _fill_small_holes(values: Array, valid: Mask, *, pitch_mm: float) -> Mask:
    """Write interpolated nodes into ``values`` (R, C, K) and return which ones."""
    filled = np.zeros(valid.shape, bool)
    missing = (~valid).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(missing, connectivity=8)
    away = cv2.distanceTransform(missing, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * pitch_mm
    furthest = np.zeros(count)
    np.maximum.at(furthest, labels.ravel(), away.ravel())
    rows, columns = valid.shape
    for label in range(1, count):
        left, top, width, height = (int(v) for v in boxes[label, :4])
        at_rim = left == 0 or top == 0 or left + width == columns or top + height == rows
        if at_rim or furthest[label] > FILL_RADIUS_MM:
            continue
        window = (
            slice(max(0, top - _RING_NODES), top + height + _RING_NODES),
            slice(max(0, left - _RING_NODES), left + width + _RING_NODES),
        )
        hole = labels[window] == label
        patch = _quadric_patch(values[window], valid[window], hole)
        if patch is not None:
            values[window][hole] = patch
            filled[window] |= hole
    return filled


def _quadric_patch(values: Array, valid: Mask, hole: Mask) -> Array | None:
    """(holes, K) values of a quadric through the valid nodes of a window (R, C, K); None where it does not fit."""
    kernel = np.ones((2 * _RING_NODES + 1,) * 2, np.uint8)
    ring = valid & (cv2.dilate(hole.astype(np.uint8), kernel) > 0)
    if np.count_nonzero(ring) < 8:
        return None
    basis = _quadric_basis(ring)
    coefficients, *_ = np.linalg.lstsq(basis, values[ring], rcond=None)
    misfit = basis @ coefficients[:, 2] - values[ring][:, 2]
    if np.sqrt(np.mean(misfit**2)) > FILL_RESIDUAL_MM:
        return None
    return _quadric_basis(hole) @ coefficients


def _quadric_basis(nodes: Mask) -> Array:
    """(n, 6) 1, r, c, r², rc, c² of the true nodes, about the window's centre."""
    rows, columns = np.nonzero(nodes)
    r, c = rows - nodes.shape[0] / 2, columns - nodes.shape[1] / 2
    return np.stack([np.ones(len(r)), r, c, r * r, r * c, c * c], axis=1)


def triangulate(grid: CleanGrid) -> NDArray[np.int32]:
    """(F, 3) triangles as flat node indices: two a cell, along its flatter diagonal, none across a jump or a hole."""
    rows, columns = grid.valid.shape
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    corners = [index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]]
    z = grid.points_mm[:, :, 2]
    a, b, c, d = (z.ravel()[corner] for corner in corners)  # upper left, upper right, lower left, lower right
    falling = ~(np.abs(b - c) < np.abs(a - d))  # join a–d unless b–c is flatter; NaN: whatever has three corners
    falling = np.where(np.isnan(a) | np.isnan(d), False, falling)
    ia, ib, ic, id_ = corners
    upper = np.stack([ia, np.where(falling, id_, ic), ib], axis=2)
    lower = np.stack([np.where(falling, ia, ib), ic, id_], axis=2)
    faces = np.concatenate([upper.reshape(-1, 3), lower.reshape(-1, 3)])
    heights = z.ravel()[faces]
    limit_mm = JUMP_STEEPNESS * node_distance_mm(grid.points_mm, grid.valid)
    kept = heights.max(axis=1) - heights.min(axis=1) <= limit_mm  # false where any corner is missing
    return faces[kept]
