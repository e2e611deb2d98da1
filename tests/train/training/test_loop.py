"""The training loop of one fold: what a step learns from, what is judged, and what stops it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_training import write_telling_data
from training_on_rows import open_tiny, rows, training_of

from fer_prep.errors import FerError, UsageError
from fer_train.losses import LOSSES
from fer_train.training.checkpoint import load_checkpoint
from fer_train.training.steps import validation_positions


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_tiny(write_telling_data(tmp_path_factory.mktemp("data") / "global.h5", subjects=6))


@pytest.fixture
def start(data, tmp_path):
    """Make a training of 29 samples (so that the last group of an epoch is smaller) with some settings changed."""

    def make(**changes):
        return training_of(data, tmp_path / "last.ckpt", **{"train": rows(0, 29), "val": rows(29, 42), **changes})

    return make


def test_the_schedule_moves_once_a_step_and_ends_at_the_floor(start):
    history = start(training__epochs=3).run().history
    assert len(history) == 3 * 3  # ceil(29 / 12) steps an epoch, whatever the micro-batch
    rates = [row["rate_backbone"] for row in history]
    assert max(rates) <= 3e-3
    assert np.argmax(rates) in (1, 2)  # warm-up is 30 % of the steps
    assert [history[-1]["rate_backbone"], history[-1]["rate_fusion"]] == pytest.approx([1e-6, 1e-6], rel=1e-3)


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


def gradient_of_a_step(training, *, after: int = 0) -> dict[str, torch.Tensor]:
    """Parameter → its gradient at step ``after``, with the statistics of batch normalisation held fixed."""
    for module in training.state.network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(stay_in_evaluation)
    training.begin()
    for _ in range(after):
        training.advance()
    found = {}
    training.state.optimiser.register_step_pre_hook(
        lambda *_: found.update({name: p.grad.clone() for name, p in training.state.network.named_parameters()})
    )
    training.advance()
    return found


FROZEN = {
    "model__dropout": 0.0,
    "optimiser__clip_norm": 0.0,
    "optimiser__backbone_rate": 1e-9,
    "optimiser__fusion_rate": 1e-9,
    "optimiser__floor_rate": 1e-9,
}


@pytest.mark.parametrize("loss", [*LOSSES, "island of sgd, flat"])
def test_micro_batches_have_the_gradient_of_the_whole_batch_whatever_the_loss(tmp_path, loss):
    """4 × 32 samples against 128 at once, classes in the shares that the thesis had: only rounding differs."""
    many = open_tiny(write_telling_data(tmp_path / "global.h5", subjects=16, repeats=3))
    counts = (13, 16, 8, 18, 48, 17, 8)
    train = torch.cat([(many.labels == label).nonzero()[:count, 0] for label, count in enumerate(counts)])
    more = {"loss__island_form": "flat", "loss__centers": "sgd"} if "," in loss else {}
    parts, whole = (
        gradient_of_a_step(
            training_of(
                many,
                tmp_path / "last.ckpt",
                train=train,
                val=rows(0, 14),
                **FROZEN,
                **more,
                loss__name=loss.split(" ")[0],
                loss__label_smoothing=0.1,
                training__batch_size=128,
                training__micro_batch_size=size,
                training__validations_per_epoch=1,
                machine__checkpoint_seconds=1e9,
                training__epochs=2,
            )
        )
        for size in (32, 128)
    )
    length = torch.cat([gradient.flatten() for gradient in whole.values()]).norm()
    apart = torch.cat([(parts[name] - gradient).flatten() for name, gradient in whole.items()]).norm()
    assert apart < 1e-4 * length


def test_a_partial_step_has_the_gradient_of_its_samples(start):
    gradients = [gradient_of_a_step(start(training__micro_batch_size=size, **FROZEN), after=2) for size in (3, 12)]
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
        loss, hits, count = 0.0, 0.0, len(training.steps.samples(step))
        for part in training.steps.micro_batches(step):
            logits, labels, of_part = next(calls)
            loss += len(part) / count * of_part.item()
            hits += (logits.argmax(1) == labels).sum().item()
        assert row["train_loss"] == pytest.approx(loss, rel=1e-5)
        assert row["train_accuracy"] == pytest.approx(100 * hits / count, abs=1e-3)
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


def test_judging_neither_learns_nor_depends_on_the_batch_size(start, data):
    chosen = torch.tensor([31, 3, 40, 8, 20])
    answers = []
    for size in (5, 2):
        training = start(machine__validation_batch_size=size)
        before = {name: value.clone() for name, value in training.state.network.state_dict().items()}
        answers.append(training.outputs(chosen))
        for name, value in training.state.network.state_dict().items():  # running statistics among them
            assert torch.equal(value, before[name]), name
    for one, other in zip(*answers, strict=True):
        assert not one.requires_grad
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert torch.equal(answers[0][2], data.labels[chosen])


def test_a_loss_that_is_not_a_number_stops_with_step_samples_and_advice(start):
    training = start(training__epochs=2)
    training.begin()
    training.advance()
    with torch.no_grad():
        next(iter(training.state.network.parameters())).fill_(float("nan"))
    with pytest.raises(FerError) as caught:
        training.run()
    first_bad = training.batches.ids_of(training.steps.samples(1))[0]
    for part in ("step 2 of 6", first_bad, "backbone_rate"):
        assert part in str(caught.value)
    assert not training.checkpoint.exists()


def test_out_of_memory_says_what_to_set(start):
    training = start(training__micro_batch_size=12)

    def greedy(_, inputs):
        if len(inputs[0]["rgb"]) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    training.state.network.register_forward_pre_hook(greedy)
    with pytest.raises(UsageError) as caught:
        training.run()
    assert "micro_batch_size=6" in str(caught.value)


def test_another_runtime_error_is_not_called_out_of_memory(start):
    training = start()

    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    training.state.network.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="mat1"):
        training.run()


def test_averaged_weights_are_what_is_validated(start):
    state = start(training__ema_decay=0.9).run()
    assert state.judged is not state.network
    pairs = zip(state.judged.parameters(), state.network.parameters(), strict=True)
    assert any(not torch.equal(averaged, latest) for averaged, latest in pairs)


def test_early_stopping_listens_to_the_inner_split_alone(start):
    training = start(
        train=rows(0, 21), val=rows(28, 42), inner=rows(21, 28),
        training__epochs=40, training__inner_split=0.2, training__early_stop=2,
    )  # fmt: skip
    state = training.run()
    inner = [(row["inner_loss"], row["step"]) for row in state.history if "inner_loss" in row]
    assert state.chosen["step"] == min(inner)[1]
    if state.step < training.steps.total:
        assert len([step for _, step in inner if step > state.chosen["step"]]) == 2


def test_centers_move_and_are_part_of_the_checkpoint(start):
    training = start(training__epochs=1)
    training.run()
    centers = load_checkpoint(training.checkpoint)["loss"]
    assert any(value.abs().sum() > 0 for name, value in centers.items() if "centers" in name)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_lower_precision_learns_too(start, precision):
    history = start(training__epochs=6, machine__precision=precision).run().history
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.parametrize("stored", [32, 40], ids=["as stored", "resized"])
def test_streamed_or_in_memory_gives_the_same_weights_bit_for_bit(tmp_path, stored):
    """Island loss, dropout, inner split and averaged weights, two epochs; also where the images are resized."""
    path = write_telling_data(tmp_path / "global.h5", subjects=6, size=stored)
    states = []
    for memory in ("100GB", "0"):
        data = open_tiny(path, machine__data_memory=memory)
        assert data.in_memory == (memory != "0")
        training = training_of(
            data, tmp_path / f"{memory}.ckpt", train=rows(0, 26), val=rows(29, 42), inner=rows(26, 29),
            training__ema_decay=0.9, model__dropout=0.3, training__inner_split=0.1,
        )  # fmt: skip
        training.run()
        states.append(load_checkpoint(training.checkpoint) | {"logits": training.outputs(training.rows.val)[0]})
        data.close()
    for name in ("network", "loss", "ema"):
        for key, value in states[0][name].items():
            assert torch.equal(value, states[1][name][key]), f"{name}.{key}"
    assert states[0]["history"] == states[1]["history"]
    assert torch.equal(states[0]["logits"], states[1]["logits"])


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_going_on_from_a_checkpoint_is_as_never_having_stopped(start, tmp_path, stop_after):
    changes = {"model__dropout": 0.3, "training__ema_decay": 0.8, "machine__checkpoint_seconds": 0.0}
    whole = start(**changes).run()
    (tmp_path / "last.ckpt").unlink()
    broken = start(**changes)
    broken.begin()
    for _ in range(stop_after):
        broken.advance()
    again = start(**changes).run()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    assert whole.history == again.history


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_no_step_synchronises(tmp_path):
    from tiny_training import tiny_config

    from fer_train.training.fold import open_data, prepare_training
    from fer_train.training.loop import FoldRows
    from fer_train.training.machine import Machine

    machine = Machine(device=torch.device("cuda", 0), precision="bf16-mixed")
    path, config = write_telling_data(tmp_path / "global.h5", subjects=4), tiny_config(training__epochs=9)
    training = prepare_training(
        FoldRows(train=rows(0, 20), val=rows(20, 28)),
        data=open_data(path, config=config, device=machine.device),
        config=config,
        machine=machine,
        seed=7,
        checkpoint=tmp_path / "last.ckpt",
    )
    training.begin()
    training.advance()
    torch.cuda.set_sync_debug_mode("error")
    try:
        training.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")
