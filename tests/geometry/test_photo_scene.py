from __future__ import annotations

import numpy as np
import pytest
from geometry_shapes import sphere_cap
from test_solve_camera import POINTS, seen, true_camera

from fer_prep.errors import SampleError
from fer_prep.geometry.photo_scene import PhotoScene

PHOTO = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)


def scene(found_px) -> PhotoScene:
    mesh = sphere_cap(nodes=61)
    return PhotoScene(
        mesh.vertices_mm - [0, 0, 80.0], faces=mesh.faces, photo=PHOTO, landmarks_mm=POINTS, found_px=found_px
    )


def found_exactly() -> dict[str, np.ndarray]:
    return seen(true_camera())


def test_the_photograph_is_kept_and_the_depth_lies_where_the_camera_sees_the_mesh() -> None:
    made = scene(found_exactly())
    frame = made.view(np.eye(2, 3), size=512)
    np.testing.assert_array_equal(frame.rgb, PHOTO)
    corners = sphere_cap(nodes=61).vertices_mm[[0, 60, -61, -1]] - [0, 0, 80.0]
    outline = true_camera().screen(corners)[:, :2]
    rows, columns = np.nonzero(frame.valid)
    assert abs(columns.min() - outline[:, 0].min()) < 2
    assert abs(columns.max() + 1 - outline[:, 0].max()) < 2
    assert abs(rows.min() - outline[:, 1].min()) < 2
    assert abs(rows.max() + 1 - outline[:, 1].max()) < 2


def test_heights_are_minus_the_distance_along_the_axis() -> None:
    made = scene(found_exactly())
    frame = made.view(np.eye(2, 3), size=512)
    camera = made.solved.camera
    tip = np.array([[0.0, 0.0, 20.0]])
    (x, y, _), distance = camera.screen(tip)[0], (tip @ camera.rotation.T + camera.translation_mm)[0, 2]
    assert frame.z_mm[int(y), int(x)] == pytest.approx(-distance, abs=0.2)
    assert np.isnan(frame.mm_per_pixel)
    assert np.isnan(frame.origin_mm).all()


def test_pixels_and_depth_give_back_points_in_the_cameras_frame() -> None:
    """The camera of the stored raster: x = (c − c₀) d / f, y = −(r − r₀) d / f, turned back by the roll."""
    turn = 0.4 * np.array([[np.cos(0.3), np.sin(0.3), 0.0], [-np.sin(0.3), np.cos(0.3), 150.0]])
    made = scene(found_exactly())
    frame, camera = made.view(turn, size=256), made.solved.camera
    points = np.array([[0.0, 0.0, 20.0], [25.0, -31.0, 10.0]])
    pixels = made.project(points) @ turn[:, :2].T + turn[:, 2]
    in_camera = points @ camera.rotation.T + camera.translation_mm
    x, y = ((pixels - frame.principal_px) * in_camera[:, 2:] / frame.focal_px).T
    np.testing.assert_allclose(np.cos(0.3) * x - np.sin(0.3) * y, in_camera[:, 0], atol=1e-9)
    np.testing.assert_allclose(np.sin(0.3) * x + np.cos(0.3) * y, in_camera[:, 1], atol=1e-9)


def test_landmarks_residual_and_centre_are_in_photograph_pixels() -> None:
    made = scene(found_exactly())
    np.testing.assert_allclose(made.landmarks["nose_tip"], seen(true_camera())["nose_tip"], atol=1.5)
    assert made.registration_residual_px < 0.6
    centre, whole = made.depth_centre(), made.view(np.eye(2, 3), size=512).valid
    assert centre is not None
    np.testing.assert_allclose(centre, np.argwhere(whole).mean(axis=0)[::-1] + 0.5, atol=2.0)


def test_colour_and_depth_turn_together() -> None:
    turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 512.0]])  # a quarter turn: exact for both
    made = scene(found_exactly())
    straight, turned = made.view(np.eye(2, 3), size=512), made.view(turn, size=512)
    np.testing.assert_array_equal(turned.rgb, np.rot90(straight.rgb))
    agree = turned.valid == np.rot90(straight.valid)
    assert (~agree).sum() <= 4  # rays along an edge of the mesh
    both = turned.valid & np.rot90(straight.valid)
    np.testing.assert_allclose(turned.z_mm[both], np.rot90(straight.z_mm)[both], atol=0.02)


def test_a_photograph_without_a_face_is_refused() -> None:
    with pytest.raises(SampleError, match="a face in the photograph"):
        scene({})


def test_a_camera_that_explains_too_little_is_refused_with_the_worst_landmark() -> None:
    wrong = {**seen(true_camera()), "mouth_left": np.array([300.0, 480.0]), "chin": np.array([100.0, 500.0])}
    with pytest.raises(SampleError, match=r"explains the landmarks to 6\.1 pixels.*off"):
        scene(wrong)
