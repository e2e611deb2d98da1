"""Nothing inside a training step makes the host wait for the device.

Seen on a CPU: every operation that fetches a value from a tensor, whose result's size depends on values, or that makes
a tensor of Python numbers (which on a GPU is a blocking copy) passes through PyTorch's dispatcher and is caught there.
"""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import tiny_config, write_telling_data
from torch.utils._python_dispatch import TorchDispatchMode

from fer_train.data.resident import ResidentData
from fer_train.training.fold import prepare_training
from fer_train.training.loop import FoldRows

WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive",
           "lift_fresh", "is_nonzero", "equal", "bincount"}  # fmt: skip


class Waits(TorchDispatchMode):
    """Collects the names of waiting operations that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().split("::")[1].split(".")[0]
        if name in WAITING or (name == "index" and any(t is not None and t.dtype == torch.bool for t in args[1])):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("loss", ["cross-entropy", "hinge", "center", "island", "focal"])
def test_a_step_fetches_nothing_from_the_device(tmp_path, loss):
    data = ResidentData.load(write_telling_data(tmp_path / "global.h5", subjects=4), image_size=32)
    training = prepare_training(
        FoldRows(train=torch.arange(20), val=torch.arange(20, 28)),
        data=data,
        config=tiny_config(loss__name=loss, training__ema_decay=0.9, training__epochs=9),
        fabric=Fabric(accelerator="cpu", devices=1),
        seed=7,
        checkpoint=tmp_path / "last.ckpt",
    )
    training.begin()
    training.advance()  # constants are copied to the device once
    training._read_at = training._saved_at = float("inf")  # the second has not passed
    with Waits() as waits:
        training.advance()  # the last group of an epoch, with a validation
    assert training.state.step == 2
    assert waits.seen == []
    assert {"train_loss", "val_loss"}.isdisjoint(training.state.history[-1])
    training._read()
    assert {"train_loss", "val_loss"} <= training.state.history[-1].keys()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_no_step_synchronises(tmp_path):
    device = torch.device("cuda", 0)
    data = ResidentData.load(write_telling_data(tmp_path / "global.h5", subjects=4), image_size=32, device=device)
    training = prepare_training(
        FoldRows(train=torch.arange(20, device=device), val=torch.arange(20, 28, device=device)),
        data=data,
        config=tiny_config(training__epochs=9),
        fabric=Fabric(accelerator="cuda", devices=1, precision="bf16-mixed"),
        seed=7,
        checkpoint=tmp_path / "last.ckpt",
    )
    training.begin()
    training.advance()
    training._read_at = training._saved_at = float("inf")
    torch.cuda.set_sync_debug_mode("error")
    try:
        training.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(training.late_numbers)
