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
JUMP_STEEPNESS: Final = 8.0
"""The tangent of 83°: a structured-light sensor returns nothing from steeper skin."""


@dataclass(frozen=True, kw_only=True)
class CleanGrid:
    """A range grid ready to be joined to triangles.

    ``points_mm`` (R, C, 3) and ``image_uv`` (R, C, 2) float64, finite where ``valid`` (R, C); ``filled`` (R, C) marks
    the valid nodes that were interpolated.
    """

    points_mm: Array
    image_uv: Array
    valid: Mask
    filled: Mask


def clean_grid(points_mm: Array, *, image_uv: Array, valid: Mask) -> CleanGrid:
    """Take out spikes and close small holes of a grid (R, C, 3) with picture coordinates (R, C, 2)."""
    values = np.concatenate([points_mm, image_uv], axis=2)
    measured = valid & np.isfinite(values).all(axis=2)
    pitch_mm = node_distance_mm(points_mm, valid=measured)
    spikes = np.zeros(valid.shape, bool)
    for k in range(3):
        spikes |= find_spikes(np.where(measured, points_mm[:, :, k], np.nan).astype(np.float32))
    kept = measured & ~spikes
    values, filled = fill_small_holes(values, valid=kept, pitch_mm=pitch_mm)
    whole = kept | filled
    values[~whole] = 0.0
    return CleanGrid(points_mm=values[:, :, :3], image_uv=values[:, :, 3:], valid=whole, filled=filled)


def node_distance_mm(points_mm: Array, *, valid: Mask) -> float:
    """Median distance in x, y between measured neighbours in a row or a column; 1.0 where there are none."""
    place = np.where(valid[..., None], points_mm[..., :2], np.nan)
    steps = [np.linalg.norm(np.diff(place, axis=axis), axis=2).ravel() for axis in (0, 1)]
    known = np.concatenate(steps)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else 1.0


def find_spikes(z_mm: NDArray[np.floating]) -> Mask:
    """(R, C) the spikes of heights (R, C) with NaN where there is no node; rule in the module's text."""
    rows, columns = z_mm.shape
    around = np.pad(z_mm, 1, constant_values=np.nan)
    steps = np.stack([around[1 + r : 1 + r + rows, 1 + c : 1 + c + columns] - z_mm for r, c in _NEIGHBOURS])
    # comparisons with NaN are false: a missing neighbour is not close, a missing pair contradicts nothing
    lonely = (np.abs(steps) <= SPIKE_MM).sum(axis=0) <= 1
    between = (np.abs(steps[:4] + steps[4:]) <= 2 * SPIKE_MM).any(axis=0)
    return lonely & ~between & (np.isfinite(steps).sum(axis=0) >= _MIN_NEIGHBOURS)


def triangulate(points_mm: Array, valid: Mask) -> NDArray[np.int32]:
    """(F, 3) triangles as flat node indices of a grid (R, C, 3) with ``valid`` nodes (R, C).

    Two a cell, along its flatter diagonal, none across a jump or a hole; a cell with three nodes makes one.
    """
    rows, columns = valid.shape
    z = np.where(valid, points_mm[:, :, 2], np.nan)
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    (za, zb, zc, zd), (a, b, c, d) = _cell_corners(z), _cell_corners(index)  # upper left, right; lower left, right
    across_bc, across_ad = np.abs(zb - zc), np.abs(za - zd)
    # a–d is the seam where it is the flatter diagonal, and where b or c is missing (comparisons with NaN are false)
    seam_ad = (across_ad <= across_bc) | np.isnan(across_bc)
    limit_mm = JUMP_STEEPNESS * node_distance_mm(points_mm, valid=valid)
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
