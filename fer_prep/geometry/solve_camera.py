"""Where was the camera? Pose and focal length from points known both on the mesh and in a photograph.

A perspective camera (square pixels, principal point in the middle of the picture) by robust non-linear least squares,
from one that sees the face frontally: Huber loss, so that one misplaced landmark does not turn the head. A frontal
face is nearly flat, so its picture hardly tells a near camera with a short lens from a far one with a long lens; a weak
prior on the distance (1 m, within a factor of about 1.6) decides where the points do not.

Source: Hartley & Zisserman, *Multiple View Geometry*, §7.2 (robust estimation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.camera import PerspectiveCamera
from fer_prep.landmark_names import CHIN

Array = NDArray[np.float64]

MIN_POINTS: Final = 6
HELD_OUT_FOLDS: Final = 5
LIKELY_DISTANCE_MM: Final = 1000.0
_DISTANCE_SPREAD: Final = 0.5
"""Standard deviation of the distance's logarithm."""
_NOISE_PX_PER_WIDTH: Final = 0.004
"""How well landmark finders agree with marked points, as a part of the picture's width: 2 px in 512."""
_TYPICAL: Final = (0.3, 0.3, 0.3, 20.0, 20.0, 0.5, 0.1)
"""How far the unknowns may be from where the search starts: radians, mm, logarithms."""
_LOOSE: Final[Mapping[str, float]] = {CHIN: 3.0}
"""Landmarks that are places on a smooth outline: so many times less certain than corners."""


@dataclass(frozen=True, kw_only=True)
class SolvedCamera:
    """A camera and how well it explains its points.

    ``misfit_px`` is the distance between each found point and where a camera solved *without* it sees it: the misfit
    of the points that a camera was fitted to says little, because few points fit many cameras. ``residual_px`` is the
    root mean square over all points.
    """

    camera: PerspectiveCamera
    residual_px: float
    misfit_px: Mapping[str, float]


def solve_camera(
    points_mm: Mapping[str, Array], *, points_px: Mapping[str, Array], picture_size: tuple[int, int]
) -> SolvedCamera:
    """The camera that took a picture of ``picture_size`` (width, height), from points (3,) and pixels (2,) by name.

    Only names in both maps count. The mesh's +z points out of the face. Raises SampleError where the points are too
    few, in one place, or exchanged.
    """
    names = sorted(set(points_mm) & set(points_px))
    if len(names) < MIN_POINTS:
        raise SampleError(
            stage="camera",
            reason=Reason.NO_FACE,
            expected=f"at least {MIN_POINTS} landmarks known on the mesh and found in the photograph",
            found=f"{len(names)} ({', '.join(names) or 'none'})",
        )
    solid = np.array([points_mm[name] for name in names], np.float64)
    flat = np.array([points_px[name] for name in names], np.float64)
    camera = _fitted(solid, flat, names=names, picture_size=picture_size)
    apart_px = np.empty(len(names))
    for fold in range(HELD_OUT_FOLDS):
        held = np.arange(len(names)) % HELD_OUT_FOLDS == fold
        others = _fitted(
            solid[~held], flat[~held], names=[names[k] for k in np.flatnonzero(~held)], picture_size=picture_size
        )
        apart_px[held] = np.linalg.norm(others.screen(solid[held])[:, :2] - flat[held], axis=1)
    residual_px = float(np.sqrt(np.mean(apart_px**2)))
    return SolvedCamera(
        camera=camera,
        residual_px=residual_px if np.isfinite(residual_px) else float("inf"),
        misfit_px=dict(zip(names, apart_px.tolist(), strict=True)),
    )


def _fitted(solid: Array, flat: Array, *, names: Sequence[str], picture_size: tuple[int, int]) -> PerspectiveCamera:
    """The camera that sees ``solid`` (n, 3) at ``flat`` (n, 2) best."""
    centre = np.array(picture_size, np.float64) / 2
    noise_px = _NOISE_PX_PER_WIDTH * max(picture_size) * np.array([[_LOOSE.get(name, 1.0)] for name in names])
    middle_mm, middle_px = solid.mean(axis=0), flat.mean(axis=0)
    about_mm, about_px = (solid - middle_mm)[:, :2] * (1, -1), flat - middle_px
    pixels_per_mm = float(np.linalg.norm(about_px)) / max(float(np.linalg.norm(about_mm)), 1e-9)
    if not 1e-6 < pixels_per_mm < 1e6:
        raise SampleError(
            stage="camera",
            reason=Reason.IMPLAUSIBLE,
            expected="landmarks spread over the face",
            found="points in one place",
        )
    if (about_mm * about_px).sum(axis=0).min() <= 0:  # points are transparent: they could be seen from behind
        raise SampleError(
            stage="camera",
            reason=Reason.MISMATCH,
            expected="landmarks of a face seen from the front",
            found="left and right exchanged",
        )

    def residuals(unknowns: Array) -> Array:
        camera = _camera(unknowns, middle_mm=middle_mm, centre=centre)
        apart = ((camera.screen(solid)[:, :2] - flat) / noise_px).ravel()
        prior = (unknowns[5] - np.log(LIKELY_DISTANCE_MM)) / _DISTANCE_SPREAD
        return np.append(np.nan_to_num(apart, nan=1e6), prior)

    first = np.array(
        [0, 0, 0, *(middle_px - centre) / pixels_per_mm, np.log(LIKELY_DISTANCE_MM), np.log(pixels_per_mm)]
    )
    solved = least_squares(residuals, first, loss="huber", f_scale=2.0, x_scale=_TYPICAL, max_nfev=200)
    return _camera(solved.x, middle_mm=middle_mm, centre=centre)


def _camera(unknowns: Array, *, middle_mm: Array, centre: Array) -> PerspectiveCamera:
    """Unknowns (7,): rotation from the frontal view, shift across the axis in mm, log distance in mm, log pixels a mm.

    Scale instead of focal length: it is what the picture determines, whatever the distance.
    """
    rotation = Rotation.from_rotvec(unknowns[:3]).as_matrix() @ np.diag([1.0, -1.0, -1.0])
    distance_mm = float(np.exp(unknowns[5]))
    focal_px = float(np.exp(unknowns[6])) * distance_mm
    intrinsics = np.array([[focal_px, 0.0, centre[0]], [0.0, focal_px, centre[1]], [0.0, 0.0, 1.0]])
    translation = np.array([unknowns[3], unknowns[4], distance_mm]) - rotation @ middle_mm
    return PerspectiveCamera(intrinsics=intrinsics, rotation=rotation, translation_mm=translation)
