"""A stored pixel goes back to the millimetres it was seen at."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fer_prep.geometry.camera import AffineCamera, PerspectiveCamera
from fer_prep.geometry.stored_camera import StoredCamera

NAN = float("nan")


def turned(degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """A (2, 3) similarity that turns a picture back by the roll ``degrees``."""
    angle = math.radians(degrees)
    turn = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.column_stack([turn, shift])


def stored(camera, roll: float) -> StoredCamera:
    """What a dataset keeps of a camera that looks along −z: pixel centres, not corners."""
    column, row = camera.principal_px
    return StoredCamera(
        mm_per_pixel=camera.mm_per_pixel,
        origin_mm=camera.origin_mm,
        focal_px=camera.focal_px,
        principal_px=(column - 0.5, row - 0.5),
        roll_degrees=roll,
        depth_offset_mm=40.0,
    )


@pytest.mark.parametrize("roll", [0.0, 12.0, -25.0])
@pytest.mark.parametrize("kind", ["parallel", "central"])
def test_a_point_comes_back_from_its_pixel(kind, roll):
    points = np.random.default_rng(0).uniform(-60, 60, (50, 3)) - (0, 0, 600 if kind == "central" else 0)
    if kind == "parallel":
        camera = AffineCamera.frontal(left_mm=-90, top_mm=80, mm_per_pixel=0.7)
    else:
        axes = np.diag([1.0, -1.0, -1.0])  # the camera sits at the origin and looks along −z
        intrinsics = np.array([[500.0, 0, 160], [0, 500, 120], [0, 0, 1]])
        camera = PerspectiveCamera(intrinsics=intrinsics, rotation=axes, translation_mm=np.zeros(3))
    camera = camera.seen_through(turned(roll, 1.3, (11.0, -7.0)))
    columns, rows, _ = camera.screen(points).T
    found = stored(camera, roll).points_at(columns - 0.5, rows - 0.5, points[:, 2])
    np.testing.assert_allclose(found, points, atol=1e-9)


def test_depth_values_are_heights_and_holes_stay_holes():
    camera = stored(AffineCamera.frontal(left_mm=0, top_mm=0, mm_per_pixel=2.0), 0.0)
    points = camera.points_mm(np.array([[1, 0], [1001, 2]], np.uint16), unit_mm=0.01)
    np.testing.assert_allclose(points[..., 2], [[40, NAN], [30, 39.99]])
    np.testing.assert_allclose(points[1, 1, :2], [3, -3])
