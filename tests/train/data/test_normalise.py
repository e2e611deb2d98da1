"""Fold normalisation against plain float64, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fer_prep.dataset.statistics import Moments, PixelSums
from fer_prep.errors import UsageError
from fer_train.data.normalise import FoldNormalisation

RGB = Moments(count=4, total=(400, 440, 480), total_of_squares=(50_000, 56_000, 64_000))
DEPTH = Moments(count=3, total=(30_000,), total_of_squares=(400_000_000,))


class Sums:
    def __init__(self, *, rgb: Moments = RGB, depth: Moments = DEPTH):
        self.sums = PixelSums(rgb=rgb, rgb_valid=rgb, depth=depth)

    def statistics(self, rows):
        return self.sums


def test_mean_and_deviation_come_from_the_sums():
    found = FoldNormalisation.fit(Sums(), [0, 1]).to_dict()
    assert found["rgb_mean"] == pytest.approx([100 / 255, 110 / 255, 120 / 255])
    assert found["rgb_std"] == pytest.approx([np.sqrt(50_000 / 4 - 100**2) / 255, *np.sqrt([1900, 1600]) / 255])
    assert found["depth_mean"] == pytest.approx(10_000 / 65_535)
    assert found["depth_std"] == pytest.approx(np.sqrt(400_000_000 / 3 - 10_000**2) / 65_535)


def test_application_is_the_z_score_with_0_for_no_data():
    normalise = FoldNormalisation.fit(Sums(), [0])
    rgb = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    depth, valid = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4) > 0.3
    out_rgb, out_depth = normalise(rgb, depth, valid, depth_channels=3)
    values = normalise.to_dict()
    for channel in range(3):
        expected = (rgb[:, channel].double() - values["rgb_mean"][channel]) / values["rgb_std"][channel]
        torch.testing.assert_close(out_rgb[:, channel].double(), expected, atol=1e-5, rtol=1e-5)
    expected = torch.where(valid, (depth.double() - values["depth_mean"]) / values["depth_std"], 0.0)
    for channel in range(3):
        torch.testing.assert_close(out_depth[:, channel].double(), expected[:, 0], atol=1e-5, rtol=1e-5)
    assert out_rgb.is_contiguous(memory_format=torch.channels_last)


def test_it_survives_json_and_state_dict():
    first = FoldNormalisation.fit(Sums(), [0])
    again = FoldNormalisation.from_dict(json.loads(json.dumps(first.to_dict())))
    assert again.to_dict() == first.to_dict()
    other = FoldNormalisation(rgb_mean=[0] * 3, rgb_std=[1] * 3, depth_mean=0, depth_std=1)
    other.load_state_dict(first.state_dict())
    assert other.to_dict() == first.to_dict()


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        (Sums(depth=Moments(count=0, total=(0,), total_of_squares=(0,))), "depth that varies.*found no valid pixel"),
        (Sums(depth=Moments(count=2, total=(10,), total_of_squares=(50,))), r"depth that varies.*all equal to \[5.0\]"),
        (Sums(rgb=Moments(count=2, total=(2, 4, 6), total_of_squares=(2, 8, 18))), "RGB that varies"),
    ],
    ids=["no depth", "flat depth", "flat colour"],
)
def test_a_modality_without_variation_is_refused(sums, message):
    with pytest.raises(UsageError, match=message):
        FoldNormalisation.fit(sums, [0])


def test_an_absent_modality_is_no_harm_where_it_is_not_used():
    without_depth = Sums(depth=Moments(count=0, total=(0,), total_of_squares=(0,)))
    values = FoldNormalisation.fit(without_depth, [0], modality="rgb").to_dict()
    assert (values["depth_mean"], values["depth_std"]) == (0.0, 1.0)
    black = Sums(rgb=Moments(count=2, total=(0, 0, 0), total_of_squares=(0, 0, 0)))
    assert FoldNormalisation.fit(black, [0], modality="depth").to_dict()["rgb_std"] == [1.0] * 3
