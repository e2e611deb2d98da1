"""Which samples each optimiser step takes, above all where the last one would be left with a single sample."""

from __future__ import annotations

import pytest
import torch
from tiny_training import tiny_config, write_telling_data
from training_on_rows import open_tiny, rows, training_of

from fer_prep.errors import UsageError
from fer_train.training.steps import Steps


def steps_of(count: int, **changes) -> Steps:
    return Steps(torch.arange(count) + 100, settings=tiny_config(**changes).training, seed=3)


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (24, 12, [12, 12]),
        (29, 12, [12, 12, 5]),
        (26, 12, [12, 12, 2]),
        (25, 12, [12, 11, 2]),
        (4, 3, [2, 2]),
        (1, 12, [1]),
        (3, 2, [2, 1]),
    ],
)
def test_an_epoch_takes_every_sample_once_and_leaves_no_single_one(count, batch_size, sizes):
    steps = steps_of(count, training__batch_size=batch_size, training__micro_batch_size=1)
    orders = []
    for epoch in range(2):
        groups = [steps.samples(epoch * len(sizes) + position) for position in range(steps.per_epoch)]
        assert [len(group) for group in groups] == sizes
        orders.append(torch.cat(groups).tolist())
        assert sorted(orders[-1]) == list(range(100, 100 + count))
    assert count < 5 or orders[0] != orders[1]


def test_steps_can_be_asked_for_in_any_order():
    steps, again = steps_of(25), steps_of(25)
    expected = [steps.samples(step) for step in range(9)]
    for step in (8, 0, 5, 4, 3, 7):
        assert torch.equal(again.samples(step), expected[step])
        assert torch.equal(torch.cat(again.micro_batches(step)), expected[step])
        assert max(len(part) for part in again.micro_batches(step)) <= 5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_tiny(write_telling_data(tmp_path_factory.mktemp("data") / "global.h5", subjects=6))


def train(data, folder, *, count: int, **changes):
    """Train on ``count`` samples with a backbone whose last feature map is 1 × 1."""
    changes = {"training__epochs": 1, **changes}
    return training_of(data, folder / "last.ckpt", train=rows(0, count), val=rows(29, 42), **changes).run()


def test_one_sample_more_than_full_batches_is_trained_on_where_the_feature_map_is_one_point(data, tmp_path):
    state = train(data, tmp_path, count=25)
    assert state.step == 3
    assert state.finished


def test_micro_batches_of_one_sample_say_what_to_set(data, tmp_path):
    with pytest.raises(UsageError, match="micro_batch_size"):
        train(data, tmp_path, count=24, training__micro_batch_size=1)
