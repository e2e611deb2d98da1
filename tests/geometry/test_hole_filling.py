from __future__ import annotations

import numpy as np

from fer_prep.geometry.hole_filling import fill_small_holes


def plane(rows: int = 30, columns: int = 30) -> np.ndarray:
    r, c = np.indices((rows, columns)).astype(np.float64)
    return np.stack([c, -r, 0.5 * c + 0.25 * r], axis=-1)


def test_neighbouring_holes_do_not_count_as_each_others_surroundings() -> None:
    values, valid = plane(), np.ones((30, 30), bool)
    valid[10, 10] = valid[10, 12] = valid[12, 11] = False
    broken = np.where(valid[..., None], values, 1e6)
    closed, filled = fill_small_holes(broken, valid=valid, pitch_mm=1.0)
    np.testing.assert_array_equal(filled, ~valid)
    np.testing.assert_allclose(closed, values, atol=1e-5)


def test_a_hole_with_rough_surroundings_stays() -> None:
    values, valid = plane(), np.ones((30, 30), bool)
    values[..., 2] += np.random.default_rng(0).normal(0, 4.0, (30, 30))
    valid[15, 15] = False
    assert not fill_small_holes(values, valid=valid, pitch_mm=1.0)[1].any()


def test_an_island_with_too_few_nodes_around_a_hole_is_left_alone() -> None:
    values, valid = plane(), np.zeros((30, 30), bool)
    valid[10, 10] = valid[12, 12] = valid[10, 12] = True
    closed, filled = fill_small_holes(values, valid=valid, pitch_mm=0.1)
    assert not filled.any()
    np.testing.assert_array_equal(closed, values)


def test_a_whole_grid_and_an_empty_one() -> None:
    for valid in (np.ones((5, 5), bool), np.zeros((5, 5), bool)):
        assert not fill_small_holes(plane(5, 5), valid=valid, pitch_mm=1.0)[1].any()
