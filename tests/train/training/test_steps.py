"""Which samples each optimiser step takes, above all where the last one would be left with a single sample."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import tiny_config, write_telling_data

from fer_prep.errors import UsageError
from fer_train.data.resident import ResidentData
from fer_train.training.fold import prepare_training
from fer_train.training.loop import FoldRows
from fer_train.training.steps import Steps, explaining_lone_samples


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
def test_a_last_step_is_not_left_with_one_sample(count, batch_size, sizes):
    steps = steps_of(count, training__batch_size=batch_size, training__micro_batch_size=1)
    for epoch in range(2):
        groups = [steps.samples(epoch * len(sizes) + position) for position in range(steps.per_epoch)]
        assert [len(group) for group in groups] == sizes
        assert [steps.size(epoch * len(sizes) + position) for position in range(steps.per_epoch)] == sizes
        assert sorted(torch.cat(groups).tolist()) == list(range(100, 100 + count))


def test_steps_can_be_asked_for_in_any_order():
    steps, again = steps_of(25), steps_of(25)
    expected = [steps.samples(step) for step in range(9)]
    for step in (8, 0, 5, 4, 3, 7):
        assert torch.equal(again.samples(step), expected[step])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = write_telling_data(tmp_path_factory.mktemp("data") / "global.h5", subjects=6)
    return ResidentData.load(path, image_size=32)


def train(data, folder, *, count: int, **changes):
    """Train on ``count`` samples with a backbone whose last feature map is 1 × 1."""
    rows = FoldRows(train=torch.arange(count), val=torch.arange(29, 42))
    fabric = Fabric(accelerator="cpu", devices=1)
    config = tiny_config(training__epochs=1, **changes)
    checkpoint = folder / "last.ckpt"
    return prepare_training(rows, data=data, config=config, fabric=fabric, seed=7, checkpoint=checkpoint).run()


def test_one_sample_more_than_full_batches_is_trained_on_where_the_feature_map_is_one_point(data, tmp_path):
    state = train(data, tmp_path, count=25)
    assert state.step == 3
    assert state.finished


def test_micro_batches_of_one_sample_say_what_to_set(data, tmp_path):
    with pytest.raises(UsageError, match="micro_batch_size"):
        train(data, tmp_path, count=24, training__micro_batch_size=1)


def test_another_value_error_is_left_alone():
    with pytest.raises(ValueError, match="something else"), explaining_lone_samples():
        raise ValueError("something else")
