"""Equalising, and sums of pixels, against the standard tools and plain loops."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fer_prep.dataset.statistics import pixel_statistics
from fer_train.data.pixels import equalise_luma, sums_per_sample
from tests.dataset_factories import make_pixels


def face_like(size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return np.stack([127 + 100 * np.sin(9 * x + c) * np.cos(7 * y - c) for c in range(3)], axis=-1).astype(np.uint8)


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
