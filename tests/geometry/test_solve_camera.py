from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fer_prep.errors import SampleError
from fer_prep.geometry.camera import PerspectiveCamera
from fer_prep.geometry.solve_camera import solve_camera

# a face's named places in mm, about
FACE = {
    "left_eye_outer": (45, 35, 5),
    "left_eye_inner": (17, 33, 15),
    "right_eye_inner": (-17, 33, 15),
    "right_eye_outer": (-45, 35, 5),
    "nose_tip": (0, -5, 45),
    "mouth_left": (25, -38, 20),
    "mouth_right": (-25, -38, 20),
    "chin": (0, -80, 15),
}
POINTS = {name: np.array(place, np.float64) for name, place in FACE.items()}
SIZE = (512, 512)


def true_camera(*, degrees=(4.0, -7.0, 10.0), distance_mm: float = 1200.0) -> PerspectiveCamera:
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag([1.0, -1.0, -1.0])
    focal = 1.9 * distance_mm
    intrinsics = np.array([[focal, 0, 256.0], [0, focal, 256.0], [0, 0, 1]])
    return PerspectiveCamera(intrinsics=intrinsics, rotation=turn, translation_mm=np.array([12.0, -20.0, distance_mm]))


def seen(camera: PerspectiveCamera, points=POINTS) -> dict[str, np.ndarray]:
    return {name: camera.screen(point[None])[0, :2] for name, point in points.items()}


def misfit_elsewhere_px(camera: PerspectiveCamera, truth: PerspectiveCamera) -> float:
    """RMS over places of the face that are no landmarks."""
    others = np.array([[30, 70, 5], [-60, -10, -20], [60, -10, -20], [0, 40, 30], [10, -20, 38]], np.float64)
    apart = camera.screen(others)[:, :2] - truth.screen(others)[:, :2]
    return float(np.sqrt((apart**2).sum(axis=1).mean()))


@pytest.mark.parametrize("distance_mm", [700.0, 1200.0, 2500.0])
@pytest.mark.parametrize("degrees", [(0.0, 0.0, 0.0), (4.0, -7.0, 10.0), (-10.0, 15.0, -25.0)])
def test_exact_points_give_back_the_camera(degrees, distance_mm: float) -> None:
    truth = true_camera(degrees=degrees, distance_mm=distance_mm)
    solved = solve_camera(POINTS, points_px=seen(truth), picture_size=SIZE)
    assert solved.residual_px < 0.8  # of points held out; the prior on the distance pulls a little
    assert misfit_elsewhere_px(solved.camera, truth) < 1.8


def test_noisy_points_leave_their_noise_as_residual_and_little_error_elsewhere() -> None:
    rng, truth = np.random.default_rng(8), true_camera()
    noisy = {name: place + rng.normal(0, 2.0, 2) for name, place in seen(truth).items()}
    solved = solve_camera(POINTS, points_px=noisy, picture_size=SIZE)
    assert 0.5 < solved.residual_px < 4.0
    assert misfit_elsewhere_px(solved.camera, truth) < 5.0


def test_one_misplaced_landmark_is_named_and_does_not_turn_the_head() -> None:
    truth, points = true_camera(), seen(true_camera())
    points["mouth_left"] = points["mouth_left"] + [0.0, 40.0]
    solved = solve_camera(POINTS, points_px=points, picture_size=SIZE)
    assert max(solved.misfit_px, key=lambda name: solved.misfit_px[name]) == "mouth_left"
    assert misfit_elsewhere_px(solved.camera, truth) < 12.0
    assert solved.residual_px > 8.0


def test_exchanged_sides_are_refused_instead_of_being_seen_from_behind() -> None:
    swapped = {name.replace("left", "?").replace("right", "left").replace("?", "right"): place
               for name, place in seen(true_camera()).items()}  # fmt: skip
    with pytest.raises(SampleError, match="left and right exchanged"):
        solve_camera(POINTS, points_px=swapped, picture_size=SIZE)


def test_too_few_common_points_are_refused_by_name() -> None:
    few = {name: place for name, place in seen(true_camera()).items() if "eye" in name}
    with pytest.raises(SampleError, match=r"at least 6 landmarks.*4 \(left_eye_inner"):
        solve_camera(POINTS, points_px=few, picture_size=SIZE)


def test_points_in_one_place_are_refused() -> None:
    with pytest.raises(SampleError, match="points in one place"):
        solve_camera(POINTS, points_px=dict.fromkeys(POINTS, np.array([5.0, 5.0])), picture_size=SIZE)
