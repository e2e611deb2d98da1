from __future__ import annotations

import numpy as np

from fer_prep.geometry.texture import sample_uniform


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_texel_centres_are_at_half_integers() -> None:
    picture = noise(5, 7)
    x, y = np.meshgrid(np.arange(7, dtype=np.float32) + 0.5, np.arange(5, dtype=np.float32) + 0.5)
    np.testing.assert_array_equal(sample_uniform(picture, x=x, y=y, texels_per_pixel=1.0), picture)


def test_a_fine_checkerboard_becomes_grey_not_stripes_when_seen_small() -> None:
    rows, columns = np.indices((256, 256))
    board = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    x, y = np.meshgrid(*[((np.arange(31) + 0.5) / 31 * 256).astype(np.float32)] * 2)
    seen = sample_uniform(board, x=x, y=y, texels_per_pixel=256 / 31)
    assert np.ptp(seen) <= 24
    assert abs(seen.mean() - 127.5) < 2
