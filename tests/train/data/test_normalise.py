"""Fold normalisation against plain float64, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fer_prep.dataset.statistics import Moments
from fer_prep.errors import UsageError
from fer_train.data.normalise import FoldNormalisation

RGB = Moments(count=4, total=(400, 440, 480), total_of_squares=(50_000, 56_000, 64_000))
DEPTH = Moments(count=3, total=(30_000,), total_of_squares=(400_000_000,))
ROWS = torch.arange(2)
BOTH = ("rgb", "depth")


class Sums:
    def __init__(self, **moments: Moments):
        self.found = {"rgb": RGB, "depth": DEPTH} | moments

    def moments(self, rows):
        return self.found


def test_mean_and_deviation_come_from_the_sums():
    found = FoldNormalisation.fit(Sums(), ROWS, inputs=BOTH).to_dict()
    assert found["rgb"]["mean"] == pytest.approx([100 / 255, 110 / 255, 120 / 255])
    assert found["rgb"]["std"] == pytest.approx([np.sqrt(50_000 / 4 - 100**2) / 255, *np.sqrt([1900, 1600]) / 255])
    assert found["depth"]["mean"] == pytest.approx([10_000 / 65_535])
    assert found["depth"]["std"] == pytest.approx([np.sqrt(400_000_000 / 3 - 10_000**2) / 65_535])


def test_application_is_the_z_score_with_0_for_no_data():
    normalise = FoldNormalisation.fit(Sums(), ROWS, inputs=BOTH)
    images = {"rgb": torch.rand(2, 3, 4, 4), "depth": torch.rand(2, 1, 4, 4) * (torch.rand(2, 1, 4, 4) > 0.3)}
    inputs, values = normalise(images), normalise.to_dict()
    for channel in range(3):
        mean, std = (values["rgb"][name][channel] for name in ("mean", "std"))
        expected = (images["rgb"][:, channel].double() - mean) / std
        torch.testing.assert_close(inputs["rgb"][:, channel].double(), expected, atol=1e-5, rtol=1e-5)
    z_score = (images["depth"].double() - values["depth"]["mean"][0]) / values["depth"]["std"][0]
    expected = torch.where(images["depth"] > 0, z_score, 0.0)
    torch.testing.assert_close(inputs["depth"].double(), expected, atol=1e-5, rtol=1e-5)


def test_it_survives_json_and_state_dict():
    first = FoldNormalisation.fit(Sums(), ROWS, inputs=BOTH)
    again = FoldNormalisation.from_dict(json.loads(json.dumps(first.to_dict())))
    assert again.to_dict() == first.to_dict()
    other = FoldNormalisation({"rgb": ([0.0] * 3, [1.0] * 3), "depth": ([0.0], [1.0])})
    other.load_state_dict(first.state_dict())
    assert other.to_dict() == first.to_dict()


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        (
            Sums(depth=Moments(count=0, total=(0,), total_of_squares=(0,))),
            "depth that varies.*found no valid pixel",
        ),
        (
            Sums(depth=Moments(count=2, total=(10,), total_of_squares=(50,))),
            r"depth that varies.*all equal to \[5.0\]",
        ),
        (Sums(rgb=Moments(count=2, total=(2, 4, 6), total_of_squares=(2, 8, 18))), "rgb that varies"),
    ],
    ids=["no depth", "flat depth", "flat colour"],
)
def test_an_input_without_variation_is_refused(sums, message):
    with pytest.raises(UsageError, match=message):
        FoldNormalisation.fit(sums, ROWS, inputs=BOTH)


def test_what_is_not_an_input_is_not_looked_at():
    flat = Sums(depth=Moments(count=0, total=(0,), total_of_squares=(0,)))
    assert list(FoldNormalisation.fit(flat, ROWS, inputs=("rgb",)).to_dict()) == ["rgb"]
