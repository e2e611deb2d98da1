"""Where MediaPipe's 468 points lie on the face plan: a generated face knows them without being looked at.

``mediapipe_points.csv`` was measured once, by ``python -m benchmarks.mediapipe_points``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.plan_mesh import plan_mesh

Array = NDArray[np.float64]

TABLE: Final = Path(__file__).with_name("mediapipe_points.csv")


def mediapipe_points(points: Array) -> Array:
    """(468, 3) MediaPipe's points on a face whose first vertices (V, 3) are those of the plan."""
    corners, weights = _places()
    return np.einsum("lc,lcx->lx", weights, points[corners])


@lru_cache(maxsize=1)
def _places() -> tuple[NDArray[np.int32], Array]:
    """(468, 3) the vertices of the triangle that each point lies in, and their weights."""
    mesh = plan_mesh()
    at = np.loadtxt(TABLE, delimiter=",", skiprows=1)
    first, second, third = np.stack([mesh.unrolled, mesh.xy[:, 1]], axis=1)[mesh.faces].transpose(1, 0, 2)
    along, across = second - first, third - first
    area = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
    offset = at[:, None] - first  # (468, F, 2)
    u = (offset[..., 0] * across[:, 1] - offset[..., 1] * across[:, 0]) / area
    v = (along[:, 0] * offset[..., 1] - along[:, 1] * offset[..., 0]) / area
    weights = np.stack([1 - u - v, u, v], axis=-1)
    best = weights.min(axis=2).argmax(axis=1)  # the triangle around the point, or the one that it misses least
    return mesh.faces[best], weights[np.arange(len(at)), best]
