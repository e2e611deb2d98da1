"""Resizing, equalising, and sums of pixels, against the standard tools and plain loops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from fer_prep.dataset.statistics import pixel_statistics
from fer_train.data.pixels import equalise_luma, resize_depth, resize_rgb, sums_per_sample
from tests.dataset_factories import make_pixels


def face_like(size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return np.stack([127 + 100 * np.sin(9 * x + c) * np.cos(7 * y - c) for c in range(3)], axis=-1).astype(np.uint8)


def test_rgb_is_resized_as_opencv_does_by_areas():
    picture = face_like(96)
    small = resize_rgb(torch.from_numpy(picture)[None], size=48)[0].numpy()
    expected = cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA)
    assert small.dtype == np.uint8
    assert np.abs(small.astype(int) - expected).max() <= 4
    assert resize_rgb(torch.from_numpy(picture)[None], size=96)[0].numpy().tolist() == picture.tolist()


def test_depth_is_resized_without_mixing_in_no_data():
    depth = torch.full((1, 60, 60), 50_000, dtype=torch.int32)
    depth[0, 20:40, 20:40] = 0
    depth[0, :, 50:] = 40_000
    for size in (30, 41, 100):
        small = resize_depth(depth, size=size)[0]
        values = small[small > 0]
        assert 40_000 <= values.min() <= values.max() <= 50_000
        hole = (small == 0).float().mean().item()
        assert abs(hole - 400 / 3600) < 0.02  # the hole keeps its size
        assert bool((small[size // 2 - 2 : size // 2 + 2, size // 2 - 2 : size // 2 + 2] == 0).all())


def test_depth_far_beyond_int16_survives():
    depth = torch.tensor([[[1, 65_535], [40_000, 0]]], dtype=torch.int32)
    assert resize_depth(depth, size=2).tolist() == depth.tolist()


def test_luma_is_equalised_as_opencv_does():
    picture = (face_like(64) // 3 + 40).astype(np.uint8)
    ours = equalise_luma(torch.from_numpy(picture)[None])[0].numpy().astype(float)
    weights = np.array([0.299, 0.587, 0.114])
    luma = np.rint((picture * weights).sum(axis=2)).astype(np.uint8)
    expected = cv2.equalizeHist(luma).astype(float)
    inside = ((ours > 0) & (ours < 255)).all(axis=2)  # where nothing was cut off
    assert inside.mean() > 0.5
    np.testing.assert_allclose((ours * weights).sum(axis=2)[inside], expected[inside], atol=1.6)


def test_a_uniform_picture_stays_as_it_is():
    picture = torch.full((1, 8, 8, 3), 90, dtype=torch.uint8)
    assert torch.equal(equalise_luma(picture), picture)


def test_sums_are_those_that_the_dataset_stores():
    pixels = [make_pixels(index) for index in range(4)]
    rgb = torch.from_numpy(np.stack([rgb for rgb, _ in pixels]))
    depth = torch.from_numpy(np.stack([depth for _, depth in pixels]).astype(np.int32))
    ours = sums_per_sample(rgb, depth)
    for index, (picture, raster) in enumerate(pixels):
        for name, value in pixel_statistics(picture, raster).items():
            np.testing.assert_array_equal(ours[name][index], value, err_msg=name)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_pictures_are_resized_alike_however_many_there_are(monkeypatch, count):
    monkeypatch.setattr("fer_train.data.pixels._NUMBERS_IN_CACHE", 2 * 30 * 20 * 3)
    random = torch.Generator().manual_seed(0)
    rgb = torch.randint(0, 256, (5, 30, 20, 3), generator=random, dtype=torch.uint8)
    depth = torch.randint(-9000, 20_000, (5, 30, 20), generator=random, dtype=torch.int32).clamp(min=0)
    alone = torch.cat([resize_rgb(picture[None], size=16) for picture in rgb])
    assert torch.equal(resize_rgb(rgb[:count], size=16), alone[:count])
    alone = torch.cat([resize_depth(picture[None], size=16) for picture in depth])
    assert torch.equal(resize_depth(depth[:count], size=16), alone[:count])
