from __future__ import annotations

import numpy as np
import pytest
from geometry_shapes import height_field, sphere_cap

from fer_prep.errors import SampleError
from fer_prep.geometry.cast_scene import BACKGROUND
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.mesh_scene import MeshScene

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(side: int = 64) -> np.ndarray:
    """Red upper left, green upper right, blue lower left, white lower right."""
    texture = np.zeros((side, side, 3), np.uint8)
    half = side // 2
    texture[:half, :half], texture[:half, half:] = RED, GREEN
    texture[half:, :half], texture[half:, half:] = BLUE, WHITE
    return texture


def plane_uv(mesh: TriangleMesh, half_mm: float) -> np.ndarray:
    """u from the left, v from the bottom: the texture laid over the mesh as a picture."""
    return ((mesh.vertices_mm[:, :2] + half_mm) / (2 * half_mm))[mesh.faces]


def scene(mesh: TriangleMesh, half_mm: float, **changes) -> MeshScene:
    arguments = {
        "faces": mesh.faces,
        "uv_corners": plane_uv(mesh, half_mm),
        "texture": quadrants(),
        "landmarks_mm": {"nose_tip": np.array([0.0, 0.0, 100.0])},
    }
    return MeshScene(mesh.vertices_mm, **{**arguments, **changes})


def dome(**changes) -> MeshScene:
    return scene(sphere_cap(nodes=41), 40.0, **changes)


def test_the_texture_is_the_right_way_up() -> None:
    picture = dome().picture()
    assert picture.shape == (512, 512, 3)
    assert [tuple(picture[r, c].tolist()) for r, c in ((150, 150), (150, 350), (350, 150), (350, 350))] == [
        RED,
        GREEN,
        BLUE,
        WHITE,
    ]
    assert tuple(picture[2, 2].tolist()) == BACKGROUND


def test_landmarks_and_the_depth_centre_fall_where_the_raster_shows_them() -> None:
    np.testing.assert_allclose(dome().landmarks["nose_tip"], [256.0, 256.0])
    centre = dome().depth_centre()
    assert centre is not None
    np.testing.assert_allclose(centre, [256.0, 256.0], atol=0.5)


def test_pixels_can_be_taken_back_to_millimetres() -> None:
    turn = np.array([[0.2, 0.05, 3.0], [-0.05, 0.2, 20.0]])
    frame = dome().view(turn, size=128)
    theta = np.arctan2(-turn[1, 0], turn[0, 0])  # the roll that this matrix removes, clockwise positive
    rows, columns = np.nonzero(frame.valid)
    mm = frame.mm_per_pixel
    x = frame.origin_mm[0] + mm * (columns * np.cos(theta) - rows * np.sin(theta))
    y = frame.origin_mm[1] + mm * (-columns * np.sin(theta) - rows * np.cos(theta))
    height = np.sqrt(100.0**2 - x**2 - y**2)
    assert np.abs(frame.z_mm[frame.valid] - height).max() < 0.05  # chords of 2 mm on a sphere
    assert len(rows) > 2000


def test_metric_points_are_projected_to_where_a_view_shows_them() -> None:
    turn = np.array([[0.2, 0.05, 3.0], [-0.05, 0.2, 20.0]])
    points = np.array([[0.0, 0.0, 100.0], [12.5, -30.25, 90.0], [-31.0, 20.0, 80.0], [np.nan] * 3])
    pixels = dome().project(points) @ turn[:, :2].T + turn[:, 2]
    frame = dome().view(turn, size=128)
    theta, mm = np.arctan2(-turn[1, 0], turn[0, 0]), frame.mm_per_pixel
    c, r = pixels.T - 0.5
    np.testing.assert_allclose(
        frame.origin_mm[0] + mm * (c * np.cos(theta) - r * np.sin(theta)), points[:, 0], atol=1e-9
    )
    np.testing.assert_allclose(
        frame.origin_mm[1] - mm * (c * np.sin(theta) + r * np.cos(theta)), points[:, 1], atol=1e-9
    )


def test_a_view_is_not_a_resampled_scene_raster() -> None:
    """Enlarged eight times, a ridge between two pixels of the scene raster is as sharp as the mesh."""
    mesh = height_field(lambda x, y: -np.abs(x), half_mm=40.0, nodes=81)
    close = np.array([[8.0, 0, -8 * 256 + 64], [0, 8.0, -8 * 256 + 64]])
    frame = scene(mesh, 40.0).view(close, size=128)
    columns = np.arange(128) + 0.5 - 64
    expected = np.broadcast_to(-np.abs(columns) * frame.mm_per_pixel, (128, 128))
    np.testing.assert_allclose(frame.z_mm, expected, atol=1e-4)


def test_the_silhouette_is_exact_to_a_pixel() -> None:
    frame = scene(height_field(lambda x, y: 0 * x, half_mm=40.0, nodes=9), 40.0).view(np.eye(2, 3), size=512)
    rows, columns = np.nonzero(frame.valid)
    side = 80.0 / frame.mm_per_pixel
    for found in (rows, columns):
        assert abs(found.min() - (256 - side / 2)) <= 1
        assert abs(found.max() + 1 - (256 + side / 2)) <= 1
    assert frame.valid.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_seams_keep_colours_apart() -> None:
    """Two neighbouring triangles with texture coordinates at opposite ends: nothing of the middle shows between."""
    vertices = np.array([[-40, -40, 0], [40, -40, 0], [40, 40, 0], [-40, 40, 0]], np.float64)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    red, white = [[0.1, 0.9]] * 3, [[0.9, 0.1]] * 3
    made = MeshScene(vertices, faces=faces, uv_corners=np.array([red, white]), texture=quadrants(), landmarks_mm={})
    seen = {tuple(colour) for colour in made.picture().reshape(-1, 3).tolist()}
    assert seen == {RED, WHITE, BACKGROUND}


def test_the_same_input_gives_the_same_pixels() -> None:
    turn = np.array([[0.24, 0.05, 3.0], [-0.05, 0.24, 20.0]])
    first, second = dome().view(turn, size=96), dome().view(turn, size=96)
    np.testing.assert_array_equal(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.z_mm, second.z_mm)


def test_triangles_with_corners_that_are_not_numbers_are_left_out() -> None:
    mesh = sphere_cap(nodes=41)
    vertices = mesh.vertices_mm.copy()
    vertices[820] = np.nan
    uv = plane_uv(mesh, 40.0)
    made = MeshScene(vertices, faces=mesh.faces, uv_corners=uv, texture=quadrants(), landmarks_mm={})
    assert 0 < dome().view(np.eye(2, 3), size=512).valid.sum() - made.view(np.eye(2, 3), size=512).valid.sum() < 2000


def test_a_mesh_without_a_single_triangle_is_a_sample_that_cannot_be_used() -> None:
    vertices = np.full((3, 3), np.nan)
    with pytest.raises(SampleError, match="at least one triangle"):
        MeshScene(
            vertices,
            faces=np.array([[0, 1, 2]], np.int32),
            uv_corners=np.zeros((1, 3, 2)),
            texture=quadrants(),
            landmarks_mm={},
        )
