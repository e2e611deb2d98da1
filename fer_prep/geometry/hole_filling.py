"""Small holes of a range grid, closed by quadrics through their surroundings; all holes of a scan at once."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FILL_RADIUS_MM: Final = 4.0
FILL_RESIDUAL_MM: Final = 1.0

_RING_NODES: Final = 2
"""How far around a hole the surface is fitted."""
_MIN_RING: Final = 8
"""Fewer nodes around a hole do not tell a quadric."""
_HEIGHT: Final = 2
"""z among the values of a node."""


def fill_small_holes(values: Array, *, valid: Mask, pitch_mm: float) -> tuple[Array, Mask]:
    """Return ``values`` (R, C, K) with small holes filled, and which nodes (R, C) those are.

    A hole is small when none of its nodes is further than ``FILL_RADIUS_MM`` from a node of ``valid`` (R, C) and it
    does not touch the grid's rim. It is filled when a quadric fits the heights of the nodes around it to
    ``FILL_RESIDUAL_MM`` root-mean-square. ``pitch_mm`` is the distance between neighbouring nodes; z is column 2.
    """
    filled = np.zeros(valid.shape, bool)
    labels, holes, centres, reach = _small_holes(valid, pitch_mm=pitch_mm)
    if not len(holes):
        return values, filled
    margin = reach + _RING_NODES
    around = np.arange(-margin, margin + 1)
    rows = (centres[:, 0, None] + around)[:, :, None]  # (n, w, 1)
    columns = (centres[:, 1, None] + around)[:, None, :]
    on_grid = (rows >= 0) & (rows < valid.shape[0]) & (columns >= 0) & (columns < valid.shape[1])
    window = np.clip(rows, 0, valid.shape[0] - 1), np.clip(columns, 0, valid.shape[1] - 1)
    is_hole = on_grid & (labels[window] == holes[:, None, None])
    ring = on_grid & _dilated(is_hole) & valid[window]
    known = np.nan_to_num(values[window])
    fitted, fits = _fit_quadrics(known, ring)
    chosen = is_hole & fits[:, None, None]
    hole, down, right = np.nonzero(chosen)
    at = (centres[hole, 0] + around[down], centres[hole, 1] + around[right])
    closed = values.copy(order="K")
    closed[at] = fitted[chosen]
    filled[at] = True
    return closed, filled


def _small_holes(valid: Mask, *, pitch_mm: float) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.intp], int]:
    """Component labels (R, C), the labels of small holes (n,), their centre nodes (n, 2), and the largest half side."""
    missing = (~valid).astype(np.uint8)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(missing, connectivity=8)
    labels, boxes = np.asarray(labels, np.int32), np.asarray(boxes)
    left, top, width, height = boxes[:, :4].T.astype(np.intp)
    rows, columns = valid.shape
    inside = (left > 0) & (top > 0) & (left + width < columns) & (top + height < rows)
    inside[0] = False  # the measured nodes
    limit = FILL_RADIUS_MM / pitch_mm
    # whoever walks out of a hole straight on meets its rim after half its shorter side
    small = inside & ((np.minimum(width, height) + 1) // 2 <= limit)
    for k in np.flatnonzero(inside & ~small):
        window = slice(top[k] - 1, top[k] + height[k] + 1), slice(left[k] - 1, left[k] + width[k] + 1)
        away = cv2.distanceTransform(missing[window], cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        small[k] = away[labels[window] == k].max() <= limit
    holes = np.flatnonzero(small)
    centres = np.stack([top + height // 2, left + width // 2], axis=1)[holes]
    reach = int(max((height[holes] // 2).max(initial=0), (width[holes] // 2).max(initial=0)))
    return labels, holes, centres, reach


def _dilated(masks: Mask) -> Mask:
    """Masks (n, w, w) grown by ``_RING_NODES`` along rows and columns."""
    for axis in (1, 2):
        grown = masks.copy()
        for step in range(1, _RING_NODES + 1):
            near, far = [slice(None)] * 3, [slice(None)] * 3
            near[axis], far[axis] = slice(None, -step), slice(step, None)
            grown[tuple(near)] |= masks[tuple(far)]
            grown[tuple(far)] |= masks[tuple(near)]
        masks = grown
    return masks


def _fit_quadrics(known: Array, ring: Mask) -> tuple[Array, Mask]:
    """Least-squares quadrics of windows ``known`` (n, w, w, K) over ``ring`` (n, w, w): their values, and which fit."""
    count, side = ring.shape[:2]
    place = (np.arange(side) - side // 2) / side
    r, c = (grid.ravel() for grid in np.meshgrid(place, place, indexing="ij"))
    basis = np.stack([np.ones(side * side), r, c, r * r, r * c, c * c], axis=1)  # (w², 6)
    weight = ring.reshape(count, -1).astype(np.float64)
    flat = known.reshape(count, side * side, -1)
    weighted = weight[:, :, None] * basis
    normal = weighted.transpose(0, 2, 1) @ basis + 1e-9 * np.eye(6)
    coefficients = np.linalg.solve(normal, weighted.transpose(0, 2, 1) @ flat)
    fitted = basis @ coefficients
    members = weight.sum(axis=1)
    squares = (weight * (fitted[:, :, _HEIGHT] - flat[:, :, _HEIGHT]) ** 2).sum(axis=1)
    fits = (members >= _MIN_RING) & (squares <= FILL_RESIDUAL_MM**2 * members)
    return fitted.reshape(known.shape), fits
