from __future__ import annotations

import numpy as np
import pytest

from fer_prep.errors import SampleError
from fer_prep.geometry.cast_scene import BACKGROUND
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.geometry.renderers import RENDERERS, choose_renderer, probe_renderers

ROWS, COLUMNS = 90, 80
WIDTH, HEIGHT = 400, 450


def height_mm(x, y):
    return 50 - 0.012 * x**2 - 0.009 * y**2


def scan(valid: np.ndarray | None = None, **changes) -> GridScene:
    """A dome of 80 × 90 mm in a picture whose red grows with x and whose green grows downward."""
    r, c = np.indices((ROWS, COLUMNS)).astype(np.float64)
    x, y = c - (COLUMNS - 1) / 2, (ROWS - 1) / 2 - r
    valid = np.ones((ROWS, COLUMNS), bool) if valid is None else valid
    uv = np.stack([(c + 10) / (COLUMNS + 20), (r + 10) / (ROWS + 20)], axis=-1)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 200, WIDTH)
    picture[..., 1] = np.linspace(0, 200, HEIGHT)[:, None]
    picture[..., 2] = 200
    arguments = {"image_uv": uv, "valid": valid, "picture": picture, "landmarks_mm": {}}
    return GridScene(np.stack([x, y, height_mm(x, y)], axis=-1), **{**arguments, **changes})


def metric(frame, size: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices((size, size))
    return frame.origin_mm[0] + frame.mm_per_pixel * columns, frame.origin_mm[1] - frame.mm_per_pixel * rows


def test_depth_is_the_surface_in_millimetres() -> None:
    frame = scan().view(np.eye(2, 3), size=512)
    x, y = metric(frame, 512)
    assert np.abs(frame.z_mm - height_mm(x, y))[frame.valid].max() < 0.01
    assert frame.filled_pixels == 0
    inside = (np.abs(x) < 39) & (np.abs(y) < 44)
    assert frame.valid[inside].all()
    assert not frame.valid[(np.abs(x) > 40) | (np.abs(y) > 45)].any()


def test_colour_is_taken_where_the_grid_says_the_point_was_seen() -> None:
    frame = scan().view(np.eye(2, 3), size=512)
    x, y = metric(frame, 512)
    u = (x + (COLUMNS - 1) / 2 + 10) / (COLUMNS + 20)
    v = ((ROWS - 1) / 2 - y + 10) / (ROWS + 20)
    red, green = frame.rgb[..., 0].astype(float), frame.rgb[..., 1].astype(float)
    assert np.abs(red - 200 * u)[frame.valid].max() < 2
    assert np.abs(green - 200 * v)[frame.valid].max() < 2


def test_the_picture_goes_on_beyond_the_scan_and_ends_in_the_background() -> None:
    frame = scan().view(np.array([[0.4, 0, 150.0], [0, 0.4, 150.0]]), size=512)
    x, _ = metric(frame, 512)
    beside = (~frame.valid[256]) & (np.abs(x[256]) < 46)
    expected = 200 * (x[256] + (COLUMNS - 1) / 2 + 10) / (COLUMNS + 20)
    assert beside.sum() > 10
    assert np.abs(frame.rgb[256, beside, 0] - expected[beside]).max() < 2
    assert tuple(frame.rgb[256, 2].tolist()) == BACKGROUND


def test_filled_pixels_are_counted_and_open_ones_have_no_depth() -> None:
    valid = np.ones((ROWS, COLUMNS), bool)
    valid[20:22, 20:22] = False  # small: filled
    valid[50:70, 30:60] = False  # large: stays open
    frame = scan(valid).view(np.eye(2, 3), size=512)
    x, y = metric(frame, 512)
    # the 3 × 3 cells around the hole, less the triangles of corner cells that do not touch it
    assert 7.5 <= frame.filled_pixels * frame.mm_per_pixel**2 <= 9.5
    assert not frame.valid[(np.abs(x - 5) < 13) & (np.abs(y + 15) < 9)].any()
    assert np.isnan(frame.z_mm[~frame.valid]).all()
    assert np.abs(frame.z_mm - height_mm(x, y))[frame.valid].max() < 0.02


def test_landmarks_known_in_the_picture_only_are_carried_over_by_the_grid() -> None:
    by_metric = scan(landmarks_mm={"chin": np.array([7.0, -20.0, height_mm(7.0, -20.0)])}).landmarks["chin"]
    u, v = (7.0 + (COLUMNS - 1) / 2 + 10) / (COLUMNS + 20), ((ROWS - 1) / 2 + 20.0 + 10) / (ROWS + 20)
    by_picture = scan(landmarks_px={"chin": np.array([u * WIDTH, v * HEIGHT])}).landmarks["chin"]
    np.testing.assert_allclose(by_picture, by_metric, atol=0.05)


def test_metric_points_are_projected_as_the_landmarks_are() -> None:
    chin = np.array([7.0, -20.0, height_mm(7.0, -20.0)])
    np.testing.assert_array_equal(scan().project(chin[None])[0], scan(landmarks_mm={"chin": chin}).landmarks["chin"])


def test_a_turned_view_is_registered_too() -> None:
    turn = np.array([[0.3, 0.1, -20.0], [-0.1, 0.3, 40.0]])
    frame = scan().view(turn, size=128)
    theta = np.arctan2(-turn[1, 0], turn[0, 0])
    rows, columns = np.nonzero(frame.valid)
    mm = frame.mm_per_pixel
    x = frame.origin_mm[0] + mm * (columns * np.cos(theta) - rows * np.sin(theta))
    y = frame.origin_mm[1] + mm * (-columns * np.sin(theta) - rows * np.cos(theta))
    assert np.abs(frame.z_mm[frame.valid] - height_mm(x, y)).max() < 0.01
    assert np.abs(frame.rgb[frame.valid][:, 0] - 200 * (x + (COLUMNS - 1) / 2 + 10) / (COLUMNS + 20)).max() < 3


def test_points_without_neighbours_are_no_scan() -> None:
    valid = np.zeros((ROWS, COLUMNS), bool)
    valid[::8, ::8] = True
    with pytest.raises(SampleError, match="neighbouring valid points"):
        scan(valid)


@pytest.mark.parametrize("name", list(RENDERERS))
def test_every_renderer_sees_the_same_scan(name: str) -> None:
    if reason := probe_renderers()[name]:
        pytest.skip(f"{name} does not work here: {reason}")
    valid = np.ones((ROWS, COLUMNS), bool)
    valid[20:60, 30:50] = False
    turned = np.array([[0.4, 0.07, 11.0], [-0.07, 0.4, 31.0]])
    reference = scan(valid, renderer=choose_renderer("numpy")).view(turned, size=200)
    frame = scan(valid, renderer=choose_renderer(name)).view(turned, size=200)
    assert np.count_nonzero(frame.valid != reference.valid) < 20  # outlines may differ by a hair
    both = frame.valid & reference.valid
    assert np.abs(frame.z_mm - reference.z_mm)[both].max() < 0.02
    assert np.abs(frame.rgb.astype(int) - reference.rgb)[both].max() <= 2


def test_an_odd_raster_is_continued_to_its_last_row_and_column() -> None:
    frame = scan().view(np.array([[0.5, 0, 0.0], [0, 0.5, 0.0]]), size=257)
    x, y = metric(frame, 257)
    red, green = frame.rgb[..., 0].astype(float), frame.rgb[..., 1].astype(float)
    u = (x + (COLUMNS - 1) / 2 + 10) / (COLUMNS + 20)
    v = ((ROWS - 1) / 2 - y + 10) / (ROWS + 20)
    within = (u > 0.01) & (u < 0.99) & (v > 0.01) & (v < 0.99)
    assert within[-1].any()
    assert np.abs(red - 200 * u)[within].max() < 3
    assert np.abs(green - 200 * v)[within].max() < 3
