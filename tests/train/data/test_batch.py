"""Stored integers become floats as the format says; samples are put together whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fer_train.data.batch import Batch, Pixels, concatenated, stored_depth, to_planes
from tests.dataset_factories import make_pixels


def stored(*indices: int) -> Pixels:
    """Pictures whose channels lie side by side in memory, as a streamed dataset has them."""
    rgb, depth = (np.stack(each) for each in zip(*(make_pixels(index) for index in indices), strict=True))
    return Pixels(pictures=torch.from_numpy(rgb).permute(0, 3, 1, 2), depths=torch.from_numpy(depth.view(np.int16)))


def test_planes_are_colours_depth_and_where_it_is():
    pixels = stored(0, 1, 2)
    for index in range(3):
        rgb, depth = make_pixels(index)
        np.testing.assert_allclose(pixels.rgb[index].numpy(), rgb.transpose(2, 0, 1) / 255, rtol=1e-6)
        np.testing.assert_allclose(pixels.depth[index, 0].numpy(), depth / 65535, rtol=1e-6)
        np.testing.assert_array_equal(pixels.valid[index, 0].numpy(), depth > 0)
    assert 0 < pixels.valid.mean() < 1


@pytest.mark.parametrize("value", [0, 1, 32_767, 32_768, 32_769, 65_534, 65_535])
def test_every_stored_depth_comes_through(value):
    bits = torch.from_numpy(np.full((1, 2, 2), value, np.uint16).view(np.int16))
    assert stored_depth(bits).unique().tolist() == [value]
    planes = to_planes(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), bits)
    assert (planes[0, 3].double() * 65535).round().unique().tolist() == [value]
    assert planes[0, 4].unique().tolist() == [float(value > 0)]


def test_floats_are_made_once():
    pixels = stored(0)
    assert pixels.rgb.data_ptr() == pixels.planes.data_ptr() == pixels.planes.data_ptr()


def test_samples_are_put_together_in_order():
    parts = [stored(0, 1), stored(2)]
    whole = concatenated(parts)
    assert torch.equal(whole.planes, torch.cat([part.planes for part in parts]))
    batches = [
        Batch(
            pictures=part.pictures,
            depths=part.depths,
            labels=torch.full((len(part),), label),
            rows=torch.arange(len(part)),
        )
        for label, part in enumerate(parts)
    ]
    batch = concatenated(batches)
    assert (len(batch), batch.labels.tolist(), batch.rows.tolist()) == (3, [0, 0, 1], [0, 1, 0])
    assert concatenated(batches[:1]) is batches[0]
