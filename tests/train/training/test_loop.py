from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import tiny_config, write_telling_data

from fer_prep.errors import FerError, UsageError
from fer_train.data.resident import ResidentData
from fer_train.training.fold import prepare_training
from fer_train.training.loop import FoldRows
from fer_train.training.steps import validation_positions


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = write_telling_data(tmp_path_factory.mktemp("data") / "global.h5", subjects=6)
    return ResidentData.load(path, image_size=32)


@pytest.fixture
def start(data, tmp_path):
    """Make a training of 29 samples (so that the last group of an epoch is smaller) with some settings changed."""

    def make(**changes):
        rows = FoldRows(train=torch.arange(29), val=torch.arange(29, 42))
        config = tiny_config(**changes)
        fabric = Fabric(accelerator="cpu", devices=1)
        return prepare_training(
            rows, data=data, config=config, fabric=fabric, seed=7, checkpoint=tmp_path / "last.ckpt"
        )

    return make


def test_the_schedule_moves_once_a_step_and_ends_at_the_floor(start):
    training = start(training__epochs=3)
    history = training.run().history
    assert len(history) == 3 * 3  # ceil(29 / 12) steps an epoch, whatever the micro-batch
    rates = [row["rate_backbone"] for row in history]
    assert max(rates) <= 3e-3
    assert np.argmax(rates) in (1, 2)  # warm-up is 30 % of the steps
    assert [history[-1]["rate_backbone"], history[-1]["rate_fusion"]] == pytest.approx([1e-6, 1e-6], rel=1e-3)


def test_every_sample_is_used_once_an_epoch(start):
    training = start()
    epochs = [torch.cat([training.steps.samples(step) for step in range(e * 3, e * 3 + 3)]) for e in (0, 1)]
    assert all(sorted(rows.tolist()) == list(range(29)) for rows in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_every_step_is_in_training_mode_and_every_validation_in_evaluation_mode(start):
    training, modes = start(training__epochs=2), []
    training.state.network.eval()  # however it comes: what happens must not depend on it
    training.state.network.register_forward_pre_hook(
        lambda module, _: modes.append((torch.is_grad_enabled(), {part.training for part in module.modules()}))
    )
    training.run()
    assert all(mode == {learning} for learning, mode in modes)
    assert {learning for learning, _ in modes} == {True, False}


def stay_in_evaluation(module, _):
    module.eval()


def test_accumulated_gradients_are_those_of_the_whole_batch(start):
    """Without batch statistics and dropout, micro-batches change nothing but rounding, also in a partial group."""
    gradients = []
    for micro_batch_size in (3, 12):
        training = start(
            training__micro_batch_size=micro_batch_size,
            model__dropout=0.0,
            loss__name="cross-entropy",
            loss__class_weights="none",
            optimiser__clip_norm=0.0,
        )
        for module in training.state.network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.register_forward_pre_hook(stay_in_evaluation)
        training.state.optimiser.register_step_pre_hook(
            lambda *_, network=training.state.network: gradients.append(
                {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
            )
        )
        training.inputs.start(2, validations=())
        training._optimiser_step(2)  # the partial one: 5 samples
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-5, msg=name)


def test_validation_points_are_spread_over_the_epoch(start):
    history = start(training__epochs=2).run().history
    assert [row["step"] for row in history if "val_loss" in row] == [2, 3, 5, 6]
    assert validation_positions(55, 10) == {6, 11, 16, 22, 28, 33, 38, 44, 50, 55}
    assert validation_positions(3, 10) == {1, 2, 3}


def test_training_numbers_are_those_of_what_the_step_saw(start):
    training = start(training__epochs=2)
    seen = []

    def note(_, inputs, output):
        if inputs[0].requires_grad:  # not when judging
            seen.append((inputs[0].detach(), inputs[2], output.detach()))

    training.state.loss.register_forward_hook(note)
    history, calls = training.run().history, iter(seen)
    for step, row in enumerate(history):
        loss = hits = 0.0
        for part in training.inputs.parts_of(step):
            logits, labels, of_part = next(calls)
            loss += part.weight * of_part.item()
            hits += (logits.argmax(1) == labels).sum().item()
        assert row["train_loss"] == pytest.approx(loss, rel=1e-5)
        assert row["train_accuracy"] == pytest.approx(100 * hits / training.steps.size(step), abs=1e-3)
    assert len({row["train_accuracy"] for row in history}) > 1
    assert next(calls, None) is None


def test_validation_numbers_are_those_of_the_network_at_that_moment(start):
    training = start(training__epochs=1)
    last = training.run().history[-1]
    logits, features, labels = training.outputs(training.rows.val)
    hits = (logits.argmax(1) == labels).double()
    assert last["val_overall_accuracy"] == pytest.approx(100 * hits.mean().item(), abs=1e-3)
    recalls = [hits[labels == k].mean().item() for k in labels.unique()]
    assert last["val_average_accuracy"] == pytest.approx(100 * np.mean(recalls), abs=1e-3)
    assert last["val_loss"] == pytest.approx(training.state.loss(logits, features, labels).item(), rel=1e-5)


def test_a_loss_that_is_not_a_number_stops_with_step_samples_and_advice(start):
    training = start(training__epochs=2)
    take_step = training._optimiser_step

    def poisoned(step):
        if step == 1:
            with torch.no_grad():
                next(iter(training.state.network.parameters())).fill_(float("nan"))
        take_step(step)

    training._optimiser_step = poisoned
    with pytest.raises(FerError) as caught:
        training.run()
    first_bad = training.batches.ids_of(training.steps.samples(1))[0]
    for part in ("step 2 of 6", first_bad, "backbone_rate"):
        assert part in str(caught.value)
    assert not training.checkpoint.exists()


def test_out_of_memory_says_which_micro_batch_fits(start):
    training = start(training__micro_batch_size=12)

    def greedy(_, inputs):
        if len(inputs[0]) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    training.state.network.register_forward_pre_hook(greedy)
    with pytest.raises(UsageError) as caught:
        training.run()
    assert "micro_batch_size=3" in str(caught.value)


def test_another_runtime_error_is_not_called_out_of_memory(start):
    training = start()

    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    training.state.network.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="mat1"):
        training.run()


def test_averaged_weights_are_what_is_validated(start):
    training = start(training__ema_decay=0.9)
    state = training.run()
    assert state.judged is not state.network
    pairs = zip(state.judged.parameters(), state.network.parameters(), strict=True)
    assert any(not torch.equal(averaged, latest) for averaged, latest in pairs)


def test_early_stopping_listens_to_the_inner_split_alone(data, tmp_path):
    config = tiny_config(training__epochs=40, training__inner_split=0.2, training__early_stop=2)
    rows = FoldRows(train=torch.arange(21), val=torch.arange(28, 42), inner=torch.arange(21, 28))
    training = prepare_training(
        rows,
        data=data,
        config=config,
        fabric=Fabric(accelerator="cpu", devices=1),
        seed=1,
        checkpoint=tmp_path / "last.ckpt",
    )
    state = training.run()
    inner = [(row["inner_loss"], row["step"]) for row in state.history if "inner_loss" in row]
    assert state.chosen["step"] == min(inner)[1]
    if state.step < training.steps.total:
        assert len([step for _, step in inner if step > state.chosen["step"]]) == 2


def test_centers_move_and_are_part_of_the_state(start):
    training = start(training__epochs=1)
    state = training.run()
    centers = state.to_checkpoint(torch.device("cpu"))["loss"]
    assert any(value.abs().sum() > 0 for name, value in centers.items() if "centers" in name)
