"""Judging rows: all of them, in order, without learning anything from them."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import tiny_config, write_telling_data

from fer_train.data.resident import ResidentData
from fer_train.training.fold import prepare_training
from fer_train.training.judging import Judging
from fer_train.training.loop import FoldRows


@pytest.fixture
def training(tmp_path):
    data = ResidentData.load(write_telling_data(tmp_path / "global.h5", subjects=4), image_size=32)
    return prepare_training(
        FoldRows(train=torch.arange(20), val=torch.arange(20, 28)),
        data=data,
        config=tiny_config(),
        fabric=Fabric(accelerator="cpu", devices=1),
        seed=7,
        checkpoint=tmp_path / "last.ckpt",
    )


def judging(training, *, batch_size: int) -> Judging:
    return Judging(training.batches, fabric=training.fabric, batch_size=batch_size)


def test_outputs_do_not_depend_on_the_batch_size(training):
    rows = torch.tensor([21, 3, 27, 8, 20])
    whole = judging(training, batch_size=5).outputs(training.state.network, rows)
    in_pieces = judging(training, batch_size=2).outputs(training.state.network, rows)
    for one, other in zip(whole, in_pieces, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert torch.equal(whole[2], training.batches.data.labels[rows])


def test_nothing_is_learnt(training):
    network = training.state.network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    logits, *_ = judging(training, batch_size=3).outputs(network, torch.arange(8))
    assert not logits.requires_grad
    for name, value in network.state_dict().items():  # running statistics of batch normalisation among them
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
def test_the_network_is_left_in_its_mode(training, mode):
    network, modes = training.state.network.train(mode), []
    hook = network.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    judging(training, batch_size=8).outputs(network, torch.arange(8))
    hook.remove()
    assert modes == [False]
    assert {module.training for module in network.modules()} == {mode}


def test_what_it_says_it_reads_is_what_it_reads(training, monkeypatch):
    judge, asked = judging(training, batch_size=3), []
    gather = training.batches.data.gather
    monkeypatch.setattr(training.batches.data, "gather", lambda rows: (asked.append(rows.tolist()), gather(rows))[1])
    groups = torch.arange(20, 28), torch.arange(2, 6)
    for rows in groups:
        judge.outputs(training.state.network, rows)
    assert (
        [rows.tolist() for rows in judge.reads(*groups, None)]
        == asked
        == [[20, 21, 22], [23, 24, 25], [26, 27], [2, 3, 4], [5]]
    )
