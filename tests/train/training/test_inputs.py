"""What goes through the network comes in order, the same wherever training begins and whatever is made at once."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import tiny_config, write_telling_data

from fer_train.data.resident import ResidentData
from fer_train.training import inputs
from fer_train.training.fold import prepare_training
from fer_train.training.loop import FoldRows


@pytest.fixture
def training(tmp_path):
    """27 samples in steps of 12, 12 and 3, micro-batches of at most 5, three epochs, validations after step 2 and 3."""
    data = ResidentData.load(write_telling_data(tmp_path / "global.h5", subjects=6), image_size=32)
    return prepare_training(
        FoldRows(train=torch.arange(27), val=torch.arange(27, 42), inner=torch.arange(5, 9)),
        data=data,
        config=tiny_config(training__epochs=3),
        fabric=Fabric(accelerator="cpu", devices=1),
        seed=7,
        checkpoint=tmp_path / "last.ckpt",
    )


def expected_parts(training, first: int):
    for step in range(first, training.steps.total):
        for part in training.inputs.parts_of(step):
            yield training.batches.training(part.rows, epoch=step // training.steps.per_epoch)


@pytest.mark.parametrize("at_once", [1, 7, 10, 64])
@pytest.mark.parametrize("first", [0, 1, 4])
def test_they_are_those_that_each_micro_batch_would_make(training, monkeypatch, at_once, first):
    monkeypatch.setattr(inputs, "PIXELS_MADE_AT_ONCE", at_once * 32**2)
    training.inputs.start(first, validations=training.validation_positions)
    expected = list(expected_parts(training, first))
    for each in expected:
        found = training.inputs.next()
        assert torch.equal(found.labels, each.labels)
        torch.testing.assert_close(found.rgb, each.rgb, rtol=0, atol=1e-5)
        torch.testing.assert_close(found.depth, each.depth, rtol=0, atol=1e-5)
        assert found.rgb.is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(StopIteration):
        training.inputs.next()


@pytest.mark.parametrize("at_once", [7, 64])
@pytest.mark.parametrize("first", range(1, 9))
def test_training_that_goes_on_gets_the_same_bits(training, monkeypatch, at_once, first):
    monkeypatch.setattr(inputs, "PIXELS_MADE_AT_ONCE", at_once * 32**2)
    training.inputs.start(0, validations=training.validation_positions)
    for _ in range(sum(1 for _ in expected_parts(training, 0)) - sum(1 for _ in expected_parts(training, first))):
        training.inputs.next()
    rest = [training.inputs.next() for _ in expected_parts(training, first)]
    training.inputs.start(first, validations=training.validation_positions)
    for each in rest:
        for mine, theirs in zip(training.inputs.next(), each, strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("at_once", [7, 64])
@pytest.mark.parametrize("first", [0, 1, 2, 3, 5])
def test_what_is_announced_is_what_is_asked_for(training, monkeypatch, at_once, first):
    """Order and cuts alike, validations included."""
    monkeypatch.setattr(inputs, "PIXELS_MADE_AT_ONCE", at_once * 32**2)
    data, asked = training.batches.data, []
    gather = data.gather
    monkeypatch.setattr(data, "announce", lambda batches: announced.append(list(batches)))
    monkeypatch.setattr(data, "gather", lambda rows: (asked.append(rows.tolist()), gather(rows))[1])
    announced: list[list[torch.Tensor]] = []
    training.state.step = first
    training.run()
    assert [rows.tolist() for rows in announced[0]] == asked
