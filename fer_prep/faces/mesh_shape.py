"""Does a face mesh look like one laid on a face upside down?

MediaPipe finds a face that lies on its side or stands on its head, lays its mesh on it with the mouth on the forehead,
and says nothing. Such meshes have a shape of their own. A linear discriminant tells them from right ones: about 0 for
a right mesh, about 1 for a wrong one. It only raises suspicion; close-ups of both ways up decide.

Fitted by ``tools/fit_mesh_shape.py`` (Fisher's discriminant, covariance shrunk by 1 %) to 333 meshes on synthetic
heads of this project turned to every 15°; judged on 309 meshes on synthetic heads of another generator: right ones
score 0.06 (99 % below 0.51; of 85 pictures as recorded one is above 0.27, by 0.04), wrong ones 0.95 (all above 0.34).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SUSPICIOUS: Final = 0.27
"""Meshes above this are looked at again, both ways up."""

IMPLAUSIBLE: Final = 0.5
"""Meshes above this in their better close-up are no faces that can be aligned."""

_VERTEX_STEP: Final = 13
"""Every 13th of the 468 vertices is enough."""

# mean x, mean y (eye distances, upright, about their centre), weight of x, weight of y; vertices 0, 13, 26 …
_TABLE: Final = np.array([
    (0.10, 0.57, 0.05, -0.13), (0.09, 0.67, 0.34, -0.11), (-0.24, -0.43, -0.40, -0.27), (-0.14, 0.60, -0.22, 0.14),
    (-0.53, -0.90, 0.42, 0.40), (-0.35, -0.88, -0.21, -0.49), (-0.28, 0.70, 0.99, 0.81), (-0.22, 0.79, -0.68, 0.60),
    (-0.64, -1.08, 1.39, -0.21), (-0.73, -0.23, 0.18, 0.31), (-0.67, -0.54, -0.28, -0.48), (-0.88, -0.47, -0.01, -0.78),
    (-0.85, -0.67, -0.11, 0.94), (-0.54, 0.97, -0.76, 1.99), (-0.18, 0.93, -2.55, 0.73), (0.09, -0.16, -0.19, 1.16),
    (-0.11, 1.20, 0.77, -1.59), (-0.19, -0.70, -0.02, -0.02), (-0.98, -0.25, -0.44, -1.63), (-0.68, -0.62, 0.36, 0.33),
    (0.82, -0.67, -0.68, 0.55), (0.52, 0.77, -0.56, 1.07), (0.43, -0.67, 2.67, 0.45), (0.61, -1.11, -1.33, 0.32),
    (0.19, 0.67, -0.65, -0.32), (0.41, 0.72, 0.42, -1.38), (0.40, -1.34, -0.48, -0.46), (0.19, -0.39, 0.22, 2.24),
    (0.84, 0.82, 0.03, 0.33), (0.30, 1.37, 0.65, -0.86), (0.74, -0.47, -0.22, 0.40), (0.29, 0.75, 0.31, -0.16),
    (0.92, 0.53, 1.50, 0.22), (0.37, 0.02, 1.37, -0.73), (0.53, -0.78, -1.56, -0.94), (0.37, 0.25, -0.33, -2.43),
])  # fmt: skip
_INTERCEPT: Final = -0.012
_MEAN: Final = _TABLE[:, 0] + 1j * _TABLE[:, 1]


def upside_downness(mesh: NDArray[np.float64]) -> float:
    """About 0 for a mesh (≥ 468, 2) that fits a face, about 1 for one laid on it upside down; roll does not matter."""
    points = mesh[: _VERTEX_STEP * len(_TABLE) : _VERTEX_STEP]
    shape = points[:, 0] + 1j * points[:, 1]
    shape -= shape.mean()
    shape /= np.vdot(_MEAN, shape) / np.vdot(_MEAN, _MEAN)  # scale and roll of the mean shape, by least squares
    return float(shape.real @ _TABLE[:, 2] + shape.imag @ _TABLE[:, 3] + _INTERCEPT)
