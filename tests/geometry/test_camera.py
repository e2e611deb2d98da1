from __future__ import annotations

import math

import numpy as np
import pytest

from fer_prep.geometry.camera import AffineCamera, PerspectiveCamera


def frontal() -> AffineCamera:
    return AffineCamera.frontal(left_mm=-50.0, top_mm=60.0, mm_per_pixel=0.5)


def rotation(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def removes_roll(roll_degrees: float, *, scale: float = 1.0) -> np.ndarray:
    """A similarity about (100, 80) that turns a face of this roll (clockwise positive) upright."""
    linear = scale * rotation(-roll_degrees)  # y is down: this turns anticlockwise in the picture
    return np.column_stack([linear, np.array([64.0, 64.0]) - linear @ [100.0, 80.0]])


def test_a_frontal_camera_puts_up_on_top_and_right_to_the_right() -> None:
    x, y, height = frontal().screen(np.array([[-50.0, 60.0, 7.0]]))[0]
    assert (x, y, height) == (0.0, 0.0, 7.0)
    assert frontal().screen(np.array([[-49.0, 57.0, 0.0]]))[0].tolist() == [2.0, 6.0, 0.0]


def test_pixel_size_and_origin_of_a_frontal_camera() -> None:
    assert frontal().mm_per_pixel == pytest.approx(0.5)
    assert frontal().origin_mm == pytest.approx((-49.75, 59.75))


@pytest.mark.parametrize("roll_degrees", [0.0, 17.0, -33.0])
def test_metric_position_of_a_pixel_after_roll_is_removed(roll_degrees: float) -> None:
    """The relation that lets others get metric x, y back from a stored raster."""
    camera = frontal().seen_through(removes_roll(roll_degrees, scale=0.8))
    mm, theta = camera.mm_per_pixel, math.radians(roll_degrees)
    row, column = 30, 11
    expected = np.array(camera.origin_mm) + mm * (
        column * np.array([math.cos(theta), -math.sin(theta)]) + row * np.array([-math.sin(theta), -math.cos(theta)])
    )
    assert mm == pytest.approx(0.5 / 0.8)
    np.testing.assert_allclose(camera.unproject(np.array([[column + 0.5, row + 0.5]]))[0, :2], expected, atol=1e-9)


def test_a_tilted_eye_line_becomes_level_through_the_matrix_that_removes_its_roll() -> None:
    roll = 20.0
    across = np.array([math.cos(math.radians(roll)), math.sin(math.radians(roll))])  # to the left eye, y down
    right_eye_px = np.array([90.0, 75.0])
    eyes_mm = frontal().unproject(np.stack([right_eye_px, right_eye_px + 40 * across]))
    seen = frontal().seen_through(removes_roll(roll)).screen(eyes_mm)
    assert seen[1, 1] == pytest.approx(seen[0, 1])
    assert seen[1, 0] > seen[0, 0]


def perspective() -> PerspectiveCamera:
    intrinsics = np.array([[900.0, 0, 64], [0, 900.0, 64], [0, 0, 1]])
    turn = np.diag([1.0, -1.0, -1.0])  # looks along −z with +y up
    return PerspectiveCamera(intrinsics=intrinsics, rotation=turn, translation_mm=np.array([3.0, -2.0, 800.0]))


@pytest.mark.parametrize("camera", [frontal(), perspective()], ids=["parallel", "central"])
def test_seen_through_a_matrix_points_fall_where_the_matrix_says(camera) -> None:
    face = np.random.default_rng(1).uniform(-40, 40, (50, 3))
    matrix = removes_roll(12.0, scale=1.3)
    before, after = camera.screen(face), camera.seen_through(matrix).screen(face)
    np.testing.assert_allclose(after[:, :2], before[:, :2] @ matrix[:, :2].T + matrix[:, 2], atol=1e-9)
    np.testing.assert_allclose(after[:, 2], before[:, 2])


@pytest.mark.parametrize("camera", [frontal(), perspective()], ids=["parallel", "central"])
def test_nearness_is_larger_for_what_is_nearer_and_gives_back_the_height(camera) -> None:
    nearness = camera.screen(np.array([[0.0, 0.0, 30.0], [0.0, 0.0, -10.0]]))[:, 2]
    assert nearness[0] > nearness[1]
    assert np.ptp(camera.height_mm(nearness)) == pytest.approx(40.0)


def test_points_behind_a_perspective_camera_have_no_pixel() -> None:
    assert np.isnan(perspective().screen(np.array([[0.0, 0.0, 900.0]]))).all()
