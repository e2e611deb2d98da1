from __future__ import annotations

import numpy as np

from fer_prep.geometry.texture import TexturePyramid, sample_uniform


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_texel_centres_are_at_half_integers() -> None:
    picture = noise(5, 7)
    x, y = np.meshgrid(np.arange(7, dtype=np.float32) + 0.5, np.arange(5, dtype=np.float32) + 0.5)
    np.testing.assert_array_equal(sample_uniform(picture, x=x, y=y, texels_per_pixel=1.0), picture)


def test_the_same_through_the_pyramid() -> None:
    picture = noise(8, 8)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(8) + 0.5, np.arange(8) + 0.5))
    seen = TexturePyramid.of(picture).sample(
        u=(x / 8).astype(np.float32), v_down=(y / 8).astype(np.float32), level=np.zeros(64, np.float32)
    )
    np.testing.assert_array_equal(seen.reshape(8, 8, 3), picture)


def test_a_fine_checkerboard_becomes_grey_not_stripes_when_seen_small() -> None:
    rows, columns = np.indices((256, 256))
    board = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    places = ((np.arange(31) + 0.5) / 31).astype(np.float32)
    u, v = (grid.ravel() for grid in np.meshgrid(places, places))
    level = np.full(u.shape, np.log2(256 / 31), np.float32)
    by_pyramid = TexturePyramid.of(board).sample(u=u, v_down=v, level=level)
    by_area = sample_uniform(board, x=(u * 256).reshape(31, 31), y=(v * 256).reshape(31, 31), texels_per_pixel=256 / 31)
    assert np.ptp(by_pyramid) <= 2
    assert np.ptp(by_area) <= 24
    assert abs(by_pyramid.mean() - 127.5) < 2


def test_the_level_nearest_to_the_footprint_is_taken() -> None:
    picture = noise(16, 16)
    pyramid = TexturePyramid.of(picture)
    u = v = np.full(1, 0.3, np.float32)
    fine, coarse, between = (pyramid.sample(u=u, v_down=v, level=np.full(1, k, np.float32)) for k in (0.0, 1.0, 0.8))
    np.testing.assert_array_equal(between, coarse)
    assert not np.array_equal(fine, coarse)
