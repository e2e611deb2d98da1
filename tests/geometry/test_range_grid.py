from __future__ import annotations

import numpy as np
import pytest

from fer_prep.geometry.hole_filling import FILL_RADIUS_MM
from fer_prep.geometry.range_grid import CleanGrid, clean_grid, find_spikes, triangulate


def grid(height, *, rows: int = 40, columns: int = 50, pitch_mm: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(R, C, 3) points, top row first, and picture coordinates (R, C, 2)."""
    r, c = np.indices((rows, columns))
    x, y = (c - columns / 2) * pitch_mm, (rows / 2 - r) * pitch_mm
    points = np.stack([x, y, height(x, y)], axis=-1)
    return points, np.stack([(c + 0.5) / columns, (r + 0.5) / rows], axis=-1)


def dome(x, y):
    return 60 - 0.01 * x**2 - 0.008 * y**2


def cleaned(points: np.ndarray, uv: np.ndarray, valid: np.ndarray | None = None) -> CleanGrid:
    return clean_grid(points, image_uv=uv, valid=np.ones(points.shape[:2], bool) if valid is None else valid)


def joined(grid: CleanGrid) -> np.ndarray:
    return triangulate(grid.points_mm, grid.valid)


def test_a_smooth_scan_is_left_exactly_as_it_is() -> None:
    points, uv = grid(dome)
    points[..., 2] += np.random.default_rng(0).normal(0, 0.1, points.shape[:2])
    result = cleaned(points, uv)
    np.testing.assert_array_equal(result.points_mm, points)
    assert not result.filled.any()


def test_spikes_are_taken_out_and_the_surface_closed_behind_them() -> None:
    points, uv = grid(dome)
    truth = points.copy()
    for place, by_mm in {(10, 10): 9.0, (20, 30): -6.0, (21, 30): 12.0}.items():
        points[place][2] += by_mm
    result = cleaned(points, uv)
    assert result.filled.sum() == 3
    np.testing.assert_allclose(result.points_mm, truth, atol=0.01)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_node_placed_far_beside_the_others_is_taken_out_too(axis: int) -> None:
    points, uv = grid(dome)
    truth = points.copy()
    points[20, 25, axis] += 120.0
    result = cleaned(points, uv)
    np.testing.assert_allclose(result.points_mm, truth, atol=0.01)


@pytest.mark.parametrize(
    "height",
    [
        lambda x, y: -6.0 * np.abs(x),
        lambda x, y: np.where(x < 0.3, 0.0, -30.0),
        lambda x, y: np.where((np.abs(x) < 1.2) & (y < 4), 12.0, 0.0),
    ],
    ids=["steep ridge", "jump", "narrow post"],
)
def test_ridges_jumps_and_narrow_parts_are_no_spikes(height) -> None:
    points, _ = grid(height)
    assert not find_spikes(points[..., 2]).any()


def test_small_holes_are_filled_and_marked_in_all_columns() -> None:
    points, uv = grid(dome)
    valid = np.ones((40, 50), bool)
    valid[10:13, 20:24] = False
    valid[30, 5] = False
    result = cleaned(np.where(valid[..., None], points, np.nan), np.where(valid[..., None], uv, np.nan), valid)
    np.testing.assert_array_equal(result.filled, ~valid)
    np.testing.assert_allclose(result.points_mm, points, atol=0.01)
    np.testing.assert_allclose(result.image_uv, uv, atol=1e-4)


def test_holes_beyond_the_stated_radius_stay_open() -> None:
    points, uv = grid(dome)
    valid = np.ones((40, 50), bool)
    side = int(2 * FILL_RADIUS_MM) + 2
    valid[10 : 10 + side, 20 : 20 + side] = False
    result = cleaned(points, uv, valid)
    np.testing.assert_array_equal(result.valid, valid)


def test_the_radius_is_in_millimetres_not_in_nodes() -> None:
    points, uv = grid(dome, pitch_mm=0.25)
    valid = np.ones((40, 50), bool)
    valid[10:20, 20:30] = False  # 10 nodes, but only 2.5 mm
    np.testing.assert_allclose(cleaned(points, uv, valid).points_mm, points, atol=0.02)


def test_nothing_is_filled_at_the_rim_or_across_a_jump() -> None:
    points, uv = grid(lambda x, y: np.where(x < 0, 0.0, -40.0))
    valid = np.ones((40, 50), bool)
    valid[20:22, 24:26] = False  # half in front of the jump
    valid[0, 10] = valid[39, 20] = False
    np.testing.assert_array_equal(cleaned(points, uv, valid).valid, valid)


def test_two_triangles_a_cell_one_where_a_corner_is_missing() -> None:
    points, uv = grid(dome, rows=5, columns=6)
    valid = np.ones((5, 6), bool)
    assert len(joined(cleaned(points, uv, valid))) == 2 * 4 * 5
    for corner in ((0, 0), (0, 5), (4, 0), (4, 5)):
        without = valid.copy()
        without[corner] = False
        faces = joined(cleaned(points, uv, without))
        assert len(faces) == 2 * 4 * 5 - 1
        assert corner[0] * 6 + corner[1] not in faces


def test_no_triangle_bridges_a_jump() -> None:
    points, uv = grid(lambda x, y: np.where(x < 0, 0.0, -40.0))
    result = cleaned(points, uv)
    heights = points[..., 2].ravel()[joined(result)]
    assert np.ptp(heights, axis=1).max() == 0
    assert len(heights) == 2 * 39 * 48  # all cells but those astride


def test_steep_skin_is_joined() -> None:
    points, uv = grid(lambda x, y: 5.0 * x)
    assert len(joined(cleaned(points, uv))) == 2 * 39 * 49


def test_the_flatter_diagonal_is_the_seam() -> None:
    points, uv = grid(lambda x, y: 0 * x, rows=2, columns=2)
    points[0, 0, 2] = points[1, 1, 2] = 3.0  # a–d lies flat on top, b–c at the bottom: both level; then tilt one
    points[1, 1, 2] = 4.5
    faces = joined(cleaned(points, uv))
    assert all({1, 2} <= set(face) for face in faces.tolist())
