"""Small holes of a range grid, closed by a quadric through the surroundings of each missing node."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FILL_RADIUS_MM: Final = 4.0
FILL_RESIDUAL_MM: Final = 1.0

_RING_NODES: Final = 2
"""How far beyond the nearest measured node the surface is fitted."""
_MIN_RING: Final = 8
"""Fewer nodes do not tell a quadric."""
_HEIGHT: Final = 2
"""z among the values of a node."""


def fill_small_holes(values: Array, *, valid: Mask, pitch_mm: float) -> tuple[Array, Mask]:
    """Return ``values`` (R, C, K) with small holes filled, and which nodes (R, C) those are.

    A hole is small when none of its nodes is further than ``FILL_RADIUS_MM`` from a node of ``valid`` (R, C) and it
    does not touch the grid's rim. It is filled when quadrics fit the heights around each of its nodes to
    ``FILL_RESIDUAL_MM`` root-mean-square. ``pitch_mm`` is the distance between neighbouring nodes; z is column 2.
    """
    closed, filled = values.copy(), np.zeros(valid.shape, bool)
    labels, distances = _small_holes(valid, pitch_mm=pitch_mm)
    nodes = np.argwhere(labels > 0)  # (n, 2)
    if not len(nodes):
        return closed, filled
    reach = distances[tuple(nodes.T)] + _RING_NODES  # (n,) in nodes
    margin = int(reach.max())
    around = np.stack(np.meshgrid(*[np.arange(-margin, margin + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    places = tuple(np.moveaxis(nodes[:, None] + around + margin, -1, 0))  # (n, w²) each, in padded grids
    ring = np.pad(valid, margin)[places] & (np.hypot(*around.T) <= reach[:, None])
    known = np.pad(np.nan_to_num(values), ((margin, margin), (margin, margin), (0, 0)))[places]
    fitted, fits = _quadrics(known, ring=ring, place=around / (margin + 1))
    whole = ~np.isin(labels[tuple(nodes.T)], labels[tuple(nodes[~fits].T)])  # a hole is filled as a whole or not at all
    at = tuple(nodes[whole].T)
    closed[at] = fitted[whole]
    filled[at] = True
    return closed, filled


def _small_holes(valid: Mask, *, pitch_mm: float) -> tuple[NDArray[np.int32], Array]:
    """(R, C) numbers of the small holes, 0 elsewhere; and how far from a measured node each node is, in nodes."""
    missing = (~valid).astype(np.uint8)
    distances = np.asarray(cv2.distanceTransform(missing, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float64)
    count, found = cv2.connectedComponents(missing, connectivity=8)
    labels = np.asarray(found, np.int32)
    small = ndimage.maximum(distances, labels, index=np.arange(count)) * pitch_mm <= FILL_RADIUS_MM
    small[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1], [0]])] = False
    return np.where(small[labels], labels, 0), distances


def _quadrics(known: Array, *, ring: Mask, place: Array) -> tuple[Array, Mask]:
    """Values (n, K) in the middle of quadrics through ``known`` (n, w, K) where ``ring`` (n, w), and which fit.

    ``place`` (w, 2) is where the nodes are, seen from the middle.
    """
    r, c = place.T
    basis = np.stack([np.ones(len(r)), r, c, r * r, r * c, c * c], axis=1)  # (w, 6)
    weighted = ring[:, :, None] * basis
    normal = weighted.transpose(0, 2, 1) @ basis + 1e-9 * np.eye(6)
    coefficients = np.linalg.solve(normal, weighted.transpose(0, 2, 1) @ known)  # (n, 6, K)
    misfit: Array = ((basis @ coefficients - known)[:, :, _HEIGHT] ** 2 * ring).sum(axis=1)
    members = ring.sum(axis=1)
    fits = (members >= _MIN_RING) & (misfit <= FILL_RESIDUAL_MM**2 * members)
    return np.asarray(coefficients[:, 0], np.float64), fits
