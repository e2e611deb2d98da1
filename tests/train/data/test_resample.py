"""`merge --size` and `--image-size` give the same pixels: tensors are resized as arrays are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fer_prep.resample import resize_depth as resize_array_depth
from fer_prep.resample import resize_rgb as resize_array_rgb
from fer_train.data.resample import resize_depth, resize_rgb


def pixels(count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, S, S, 3) u1 and (n, S, S) u2 beyond int16: noise on a slope, an edge, and holes large and small."""
    rng = np.random.default_rng(side)
    rgb = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    slope = np.arange(side)
    depth = 20_000 + 3000 / side * (2 * slope + slope[:, None]) + rng.normal(0, 30, (count, side, side))
    depth[:, :, side // 2 :] += 30_000
    depth[:, side // 3 : side // 2, 3 : side // 4] = 0
    depth[rng.random(depth.shape) < 0.01] = 0
    return rgb, np.rint(depth).astype(np.uint16)


@pytest.mark.parametrize(("old", "new"), [(65, 56), (260, 64), (40, 100), (33, 33)])
def test_tensors_and_arrays_come_out_alike(old, new):
    rgb, depth = pixels(3, old)
    ours = resize_rgb(torch.from_numpy(rgb), size=new).numpy()
    expected = np.stack([resize_array_rgb(each, size=new) for each in rgb])
    assert ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - expected).max() <= 1
    ours = resize_depth(torch.from_numpy(depth.astype(np.int32)), size=new).numpy()
    expected = np.stack([resize_array_depth(each, size=new) for each in depth]).astype(int)
    assert ((ours > 0) == (expected > 0)).all()
    assert (ours[:, :, -1] > 50_000).any()
    assert np.abs(ours - expected).max() <= 1


def test_a_sample_is_resized_alike_whatever_is_beside_it():
    rgb, depth = (torch.from_numpy(values) for values in pixels(9, 260))
    alone = torch.cat([resize_rgb(one[None], size=100) for one in rgb])
    assert torch.equal(resize_rgb(rgb, size=100), alone)
    alone = torch.cat([resize_depth(one[None].int(), size=100) for one in depth])
    assert torch.equal(resize_depth(depth.int(), size=100), alone)
