"""A structured range scan made fit for triangulation: spikes out, small holes closed, depth jumps left open.

Nothing is smoothed: the sensor's noise is the measurement's own, and the surface passes through every node that stays.

The rules, all of them:

- **spike**: a node with at least six neighbours that is more than ``SPIKE_MM`` away from the mean of *every* pair of
  opposite ones, and from all of the eight but one at most. Creases, noses and the edges of jumps have neighbours
  alongside; a spike has none. It becomes a hole. The same rule finds nodes that x or y places far beside the others.
- **small hole**: a connected set of missing nodes, inside the scan, none of which is further than ``FILL_RADIUS_MM``
  from a measured node, and whose surroundings are one smooth surface (a quadric fits them to ``FILL_RESIDUAL_MM``
  root-mean-square). Its nodes are taken from that quadric and marked (:mod:`fer_prep.geometry.hole_filling`).
- **jump**: neighbouring nodes whose heights differ by more than ``JUMP_STEEPNESS`` times the distance between nodes
  are not joined: there is no surface between a chin and the neck behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.hole_filling import fill_small_holes

Array = NDArray[np.float64]
Kind = TypeVar("Kind", bound=np.generic)
Mask = NDArray[np.bool_]

SPIKE_MM: Final = 2.0
_MIN_NEIGHBOURS: Final = 6
_NEIGHBOURS: Final = ((0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0), (-1, -1), (-1, 1))
"""Steps down and right; the last four are opposite to the first four."""
_LINES_LOOKED_AT: Final = 60
JUMP_STEEPNESS: Final = 8.0
"""The tangent of 83°: a structured-light sensor returns nothing from steeper skin."""


@dataclass(frozen=True, kw_only=True)
class CleanGrid:
    """A range grid ready to be joined to triangles.

    ``points_mm`` (R, C, 3) and ``image_uv`` (R, C, 2) float64, finite where ``valid`` (R, C); ``filled`` (R, C) marks
    the valid nodes that were interpolated; ``spikes`` counts the nodes that were taken out; ``pitch_mm`` is the
    distance between neighbouring nodes.
    """

    points_mm: Array
    image_uv: Array
    valid: Mask
    filled: Mask
    spikes: int
    pitch_mm: float


def clean_grid(points_mm: Array, *, image_uv: Array, valid: Mask) -> CleanGrid:
    """Take out spikes and close small holes of a grid (R, C, 3) with picture coordinates (R, C, 2)."""
    # (R, C, 5) with each of the five contiguous: they are worked on one by one
    values = np.moveaxis(np.concatenate([np.moveaxis(points_mm, -1, 0), np.moveaxis(image_uv, -1, 0)]), 0, -1)
    measured = valid.copy()
    for k in range(values.shape[2]):
        measured &= np.isfinite(values[:, :, k])
    pitch_mm = node_distance_mm(values, valid=measured)
    spikes = find_spikes(np.where(measured, values[:, :, 2], np.nan))
    for k in (0, 1):
        if _is_torn(values[:, :, k], pitch_mm=pitch_mm):
            spikes |= find_spikes(np.where(measured, values[:, :, k], np.nan))
    kept = measured & ~spikes
    values, filled = fill_small_holes(values, valid=kept, pitch_mm=pitch_mm)
    return CleanGrid(
        points_mm=values[:, :, :3],
        image_uv=values[:, :, 3:],
        valid=kept | filled,
        filled=filled,
        spikes=int(np.count_nonzero(spikes)),
        pitch_mm=pitch_mm,
    )


def node_distance_mm(points_mm: Array, *, valid: Mask) -> float:
    """Median distance in x, y between measured neighbours in a row or a column; 1.0 where there are none.

    Of a large grid (R, C, 3) some sixty rows and columns are looked at.
    """
    every_row, every_column = (max(1, length // _LINES_LOOKED_AT) for length in valid.shape)
    along = _squared_steps(points_mm[::every_row], valid[::every_row])
    across = _squared_steps(points_mm.swapaxes(0, 1)[::every_column], valid.T[::every_column])
    squares = np.concatenate([along, across])
    return float(np.sqrt(np.median(squares))) if len(squares) else 1.0


def _squared_steps(points_mm: Array, valid: Mask) -> Array:
    """Squared distances in x, y between measured neighbours along the second axis of (L, N, 3)."""
    x, y = points_mm[:, :, 0], points_mm[:, :, 1]
    return ((x[:, 1:] - x[:, :-1]) ** 2 + (y[:, 1:] - y[:, :-1]) ** 2)[valid[:, 1:] & valid[:, :-1]]


def _is_torn(place_mm: Array, *, pitch_mm: float) -> bool:
    """Whether neighbours in (R, C) are further apart than a grid's nodes ever are; comparisons with NaN are false."""
    limit_mm = JUMP_STEEPNESS * pitch_mm
    across, down = place_mm[:, 1:] - place_mm[:, :-1], place_mm[1:] - place_mm[:-1]
    return bool((np.abs(across) > limit_mm).any() or (np.abs(down) > limit_mm).any())


def find_spikes(z_mm: Array) -> Mask:
    """(R, C) the spikes of heights (R, C) with NaN where there is no node; rule in the module's text."""
    around = np.pad(z_mm, 1, constant_values=np.nan)
    twice = 2 * z_mm
    # comparisons with NaN are false: a missing neighbour is not close, a missing pair contradicts nothing
    suspects = np.isfinite(z_mm)
    suspects &= ~(np.abs(around[1:-1, 2:] + around[1:-1, :-2] - twice) <= 2 * SPIKE_MM)
    suspects &= ~(np.abs(around[2:, 1:-1] + around[:-2, 1:-1] - twice) <= 2 * SPIKE_MM)
    rows, columns = np.nonzero(suspects)  # few: only they are compared with all eight
    steps = (
        np.stack([around[rows + 1 + down, columns + 1 + right] for down, right in _NEIGHBOURS]) - z_mm[rows, columns]
    )
    is_spike = (np.abs(steps) <= SPIKE_MM).sum(axis=0) <= 1
    is_spike &= ~(np.abs(steps[:4] + steps[4:]) <= 2 * SPIKE_MM).any(axis=0)
    is_spike &= np.isfinite(steps).sum(axis=0) >= _MIN_NEIGHBOURS
    spikes = np.zeros(z_mm.shape, bool)
    spikes[rows[is_spike], columns[is_spike]] = True
    return spikes


def triangulate(grid: CleanGrid) -> NDArray[np.int32]:
    """(F, 3) triangles as flat node indices: two a cell, along its flatter diagonal, none across a jump or a hole.

    A cell with three nodes makes one triangle.
    """
    rows, columns = grid.valid.shape
    z = np.where(grid.valid, grid.points_mm[:, :, 2], np.nan)
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    (za, zb, zc, zd), (a, b, c, d) = _cell_corners(z), _cell_corners(index)  # upper left, right; lower left, right
    across_bc, across_ad = np.abs(zb - zc), np.abs(za - zd)
    # a–d is the seam where it is the flatter diagonal, and where b or c is missing (comparisons with NaN are false)
    seam_ad = (across_ad <= across_bc) | np.isnan(across_bc)
    limit_mm = JUMP_STEEPNESS * grid.pitch_mm
    upper = np.flatnonzero(_spread(za, np.where(seam_ad, zd, zc), zb) <= limit_mm)
    lower = np.flatnonzero(_spread(np.where(seam_ad, za, zb), zc, zd) <= limit_mm)
    third = np.where(seam_ad, d, c)[upper]
    first = np.where(seam_ad, a, b)[lower]
    corners = (a[upper], first), (third, c[lower]), (b[upper], d[lower])
    return np.stack([np.concatenate(pair) for pair in corners]).T


def _cell_corners(
    nodes: NDArray[Kind],
) -> tuple[NDArray[Kind], NDArray[Kind], NDArray[Kind], NDArray[Kind]]:
    """Upper left, upper right, lower left, lower right node of every cell, each flat."""
    return nodes[:-1, :-1].ravel(), nodes[:-1, 1:].ravel(), nodes[1:, :-1].ravel(), nodes[1:, 1:].ravel()


def _spread(first: Array, second: Array, third: Array) -> Array:
    """Largest minus smallest of three; NaN where any is missing."""
    return np.maximum(np.maximum(first, second), third) - np.minimum(np.minimum(first, second), third)
