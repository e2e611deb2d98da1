"""Folds side by side: the numbers of folds one after the other; a dead fold is told and can be resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
from tiny_training import tiny_config, write_telling_data
from training_programs import command, finish
from waiting import wait_until

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import EngineError, FerError
from fer_train.training.cross_validate import FoldChoice, cross_validate
from fer_train.training.parallel_folds import shares_of_machine
from fer_train.training.run_folder import RunFolder

SAME = ("predictions.csv", "fold-0/history.csv", "fold-1/history.csv", "fold-0/model.safetensors",
        "fold-1/model.safetensors")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_telling_data(tmp_path_factory.mktemp("data") / "global.h5", subjects=6)


@pytest.fixture(scope="module")
def one_after_the_other(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial") / "run"
    finish(command(data, folder))
    return folder


def assert_same_files(found: Path, expected: Path) -> None:
    for name in SAME:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name


@pytest.mark.slow
def test_side_by_side_gives_the_same_files(data, one_after_the_other, tmp_path):
    said = finish(command(data, tmp_path / "run", "--parallel-folds=2"))
    assert "2 folds side by side on cpu" in said
    assert_same_files(tmp_path / "run", one_after_the_other)


def kill_training_process_of(fold: Path, *, parent: int) -> None:
    """SIGKILL the child that has the fold's TensorBoard events open."""

    def killed() -> bool:
        for child in psutil.Process(parent).children(recursive=True):
            try:
                if any(fold.name in Path(file.path).parts for file in child.open_files()):
                    child.send_signal(signal.SIGKILL)
                    child.wait(20)  # a second call must not find the same one
                    return True
            except psutil.Error:
                continue
        return False

    wait_until(killed, f"a process that opens a file of {fold}", seconds=120)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_a_fold_that_dies_goes_on_and_one_that_dies_again_is_told(data, one_after_the_other, tmp_path, times):
    out = tmp_path / "run"
    longer = ["--set=training.epochs=25"] if times == 2 else []  # the second time there must be something left to do
    process = subprocess.Popen(
        command(data, out, "--parallel-folds=2", "--set=machine.checkpoint_seconds=0.0", *longer),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def kill() -> None:
        for _ in range(times):
            kill_training_process_of(out / "fold-1", parent=process.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    said, _ = process.communicate(timeout=300)
    killer.join()
    assert process.returncode == (0 if times == 1 else 2), said
    if times == 2:
        flat = " ".join(said.split())
        assert "fold 1 (2 of 2) failed: worker process killed by SIGKILL" in flat
        assert "1 of 2 folds did not finish: fold 1: worker process killed" in flat
        assert f"fer-train kfold --resume --out {out}" in flat
        assert (out / "fold-0/model.safetensors").exists()
        assert not (out / "fold-1/model.safetensors").exists()
        assert not (out / "summary.json").exists()
        finish(command(data, out, "--resume", "--parallel-folds=2", *longer))
        assert (out / "summary.json").exists()
    else:
        assert_same_files(out, one_after_the_other)


@pytest.mark.slow
def test_no_process_outlives_the_command(data, tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen(
        command(data, out, "--parallel-folds=2", "--set=training.epochs=500"),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: len(list(out.glob("fold-*/last.ckpt"))) >= 2, "two checkpoints", seconds=120)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    assert psutil.wait_procs(children, timeout=20)[1] == []


@pytest.mark.slow
def test_an_error_in_one_fold_is_its_own(data, tmp_path, monkeypatch):
    """A rate that makes the loss infinite stops every fold; each is named with its reason."""
    config = tiny_config(
        machine__parallel_folds=2, optimiser__backbone_rate=1e30, optimiser__fusion_rate=1e30, training__epochs=6
    )
    run, said = RunFolder(tmp_path / "run"), []
    with pytest.raises(EngineError) as raised:
        cross_validate(data, config=config, folds=FoldChoice(number=2), run=run, say=said.append)
    assert "2 of 2 folds did not finish" in str(raised.value)
    assert "the loss became" in str(raised.value)
    assert isinstance(raised.value, FerError)
    assert sum("failed: the loss became" in line for line in said) == 2


def test_a_cpu_is_shared_by_threads_and_memory(data):
    config = tiny_config(machine__threads=0)
    shares = shares_of_machine(config, count=2)
    assert [share.machine.device for share in shares] == ["cpu", "cpu"]
    assert {share.machine.parallel_folds for share in shares} == {1}
    assert all(int(share.machine.data_memory) > 0 for share in shares)
    assert all(share.machine.threads >= 1 for share in shares)
    given = shares_of_machine(tiny_config(machine__threads=3, machine__data_memory="1GB"), count=2)
    assert [(share.machine.threads, share.machine.data_memory) for share in given] == [(3, "1GB")] * 2


def test_gpus_are_dealt_out_in_turn(monkeypatch):
    import torch

    from fer_train import environment

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(environment, "choose_device", lambda name: torch.device("cuda", 0))
    shares = shares_of_machine(tiny_config(machine__device="auto", machine__data_memory="9GB"), count=3)
    assert [share.machine.device for share in shares] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.slow
def test_data_is_read_once_for_all_folds(data, tmp_path):
    from contextlib import contextmanager

    opened = []

    @contextmanager
    def listen(description, *, total, unit="samples"):
        opened.append(description)
        yield lambda done: None

    config = tiny_config(training__epochs=1)
    run = RunFolder(tmp_path / "run")
    cross_validate(data, config=config, folds=FoldChoice(number=3), run=run, progress=listen)
    with DatasetFile.open(data) as file:
        assert file.n == 42
    assert opened.count("reading the dataset") == 1
