"""A sample whose raster gets another size: its coordinates and its camera go with it."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_factories import make_landmarks, make_row

from fer_prep.merge.rescale import rescale_landmarks, rescale_row

SIZES = pytest.mark.parametrize("size", [13, 26, 52, 77])


@SIZES
@pytest.mark.parametrize("roll", [0.0, 33.0, -90.0])
def test_a_metric_point_keeps_its_place(size, roll):
    """x, y in mm of what an orthographic camera sees at a stored place, by the formula of the format."""
    row = make_row(
        "bu3dfe", "F000", "anger", mm_per_pixel=2.0, origin_mm=(-25.0, 25.0), left_eye=(7.3, 9.1), roll_degrees=roll
    )

    def metric(row):
        (c, r), m, (x0, y0) = row["left_eye"], row["mm_per_pixel"], row["origin_mm"]
        phi = np.radians(row["roll_degrees"])
        return [x0 + m * (c * np.cos(phi) - r * np.sin(phi)), y0 - m * (c * np.sin(phi) + r * np.cos(phi))]

    np.testing.assert_allclose(metric(rescale_row(row, old_size=26, size=size)), metric(row), atol=1e-5)


@SIZES
def test_a_ray_of_a_perspective_camera_keeps_its_direction(size):
    row = make_row(
        "cald3r", "F000", "anger", focal_px=40.0, principal_px=(12.0, 13.5), left_eye=(7.3, 9.1), mm_per_pixel=np.nan
    )

    def direction(row):
        (c, r), (c0, r0) = row["left_eye"], row["principal_px"]
        return [(c - c0) / row["focal_px"], (r - r0) / row["focal_px"]]

    new = rescale_row(row, old_size=26, size=size)
    np.testing.assert_allclose(direction(new), direction(row), atol=1e-6)
    assert np.isnan(new["mm_per_pixel"])


def test_what_is_unknown_stays_unknown():
    row = make_row("cald3r", "F000", "anger", mm_per_pixel=np.nan, origin_mm=(np.nan, np.nan), left_eye=(np.nan,) * 2)
    new = rescale_row(row, old_size=26, size=13)
    for name in ("mm_per_pixel", "origin_mm", "left_eye", "focal_px", "principal_px"):
        assert np.isnan(new[name]).all()


def test_the_corners_of_the_raster_stay_its_corners():
    """In pixel centres the first corner of any raster is at -0.5, the last at its size less a half."""
    row = make_row("bu3dfe", "F000", "anger", left_eye=(-0.5, 25.5))
    np.testing.assert_allclose(rescale_row(row, old_size=26, size=52)["left_eye"], (-0.5, 51.5))


def test_landmarks_follow_each_by_its_own_scale_and_millimetres_stay():
    landmarks = make_landmarks(4, vertices=True)
    new = rescale_landmarks(landmarks, scale=np.array([1.0, 2.0, 0.5, 1.0]))
    np.testing.assert_allclose(new.points_px[1], landmarks.points_px[1] * 2 + 0.5, rtol=1e-6)
    np.testing.assert_allclose(new.points_px[2], landmarks.points_px[2] / 2 - 0.25, rtol=1e-6)
    np.testing.assert_array_equal(new.points_px[[0, 3]], landmarks.points_px[[0, 3]])
    assert new.points_mm is landmarks.points_mm
    assert new.vertex is landmarks.vertex
