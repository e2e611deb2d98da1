"""Another raster size: the mean of what is under the filter, and depth never across a hole or an edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fer_prep.depth_encoding import UNIT_MM
from fer_prep.resample import MAX_STEP_MM, resize_depth, resize_rgb


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 40), st.integers(4, 40), st.integers(0, 2**32 - 1))
@example(old=18, new=33, seed=0)  # the centre of the sixth new pixel lies between the third and the fourth old one
def test_depth_invents_nothing(old, new, seed):
    rng = np.random.default_rng(seed)
    depth = rng.integers(1, 65535, (old, old), dtype=np.uint16)
    depth[rng.random(depth.shape) < 0.4] = 0
    out = resize_depth(depth, size=new)
    place = (2 * np.arange(new) + 1) * old // (2 * new)
    nearest = depth[np.ix_(place, place)]
    assert ((out > 0) == (nearest > 0)).all(), "valid exactly where the pixel hit is"
    furthest = MAX_STEP_MM / UNIT_MM * max(1, old / new)
    assert (np.abs(out.astype(int) - nearest) <= furthest).all()


@pytest.mark.parametrize("new", [11, 20, 33, 80, 97])
def test_a_plane_stays_a_plane(new):
    x = (np.arange(40) + 0.5) * 12
    depth = np.rint(1000 + x[None, :] + 0.5 * x[:, None]).astype(np.uint16)
    expected_x = (np.arange(new) + 0.5) * 40 / new * 12
    expected = 1000 + expected_x[None, :] + 0.5 * expected_x[:, None]
    edge = new // 20 + 1
    inner = slice(edge, -edge)
    assert np.abs(resize_depth(depth, size=new) - expected)[inner, inner].max() <= 1.5


@pytest.mark.parametrize("new", [4, 17])
def test_an_edge_between_two_surfaces_stays_sharp(new):
    depth = np.full((10, 10), 1000, np.uint16)
    depth[:, 5:] = 9000
    assert set(np.unique(resize_depth(depth, size=new))) == {1000, 9000}


def test_shrinking_averages_the_noise_of_a_sensor():
    noisy = np.random.default_rng(0).normal(20_000, 20, (120, 120)).astype(np.uint16)
    assert resize_depth(noisy, size=30).std() < 0.3 * noisy.std()


def test_the_same_size_changes_nothing():
    rgb, depth = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint16)
    assert resize_rgb(rgb, size=8) is rgb
    assert resize_depth(depth, size=8) is depth


def test_rgb_is_averaged_when_shrinking():
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 200).astype(np.uint8)
    small = resize_rgb(np.repeat(checkers[..., None], 3, axis=2), size=16)
    np.testing.assert_array_equal(small, 100)


def test_rgb_is_enlarged_as_opencv_does():
    rgb = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    expected = cv2.resize(rgb, (60, 60), interpolation=cv2.INTER_CUBIC)
    assert np.abs(resize_rgb(rgb, size=60).astype(int) - expected).max() <= 1


def test_wide_rasters_become_square():
    assert resize_rgb(np.full((20, 30, 3), 77, np.uint8), size=10).tolist() == np.full((10, 10, 3), 77).tolist()
    assert resize_depth(np.full((20, 30), 777, np.uint16), size=40).tolist() == np.full((40, 40), 777).tolist()
