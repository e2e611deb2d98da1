"""Several processes inside one fold, started by torchrun: the same samples, the same micro-batches, the same result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import TINY, write_telling_data
from torch import nn
from training_programs import kill_after_checkpoints

from fer_train.training import processes
from fer_train.training.machine import Machine
from fer_train.training.processes import average_buffers, own_parts, own_share
from fer_train.training.run_folder import RunFolder, read_history

SETTINGS = TINY | {
    "model.dropout": 0.2,
    "training.ema_decay": 0.8,
    "training.inner_split": 0.2,
    "optimiser.backbone_rate": 1e-3,
    "machine.checkpoint_seconds": 0.0,
}


def command(data: Path, out: Path, *options: str, processes: int) -> list[str]:
    settings = [f"--set={key}={json.dumps(value)}" for key, value in SETTINGS.items() if "." in key]
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    arguments = ["--data", str(data), "--out", str(out), "--folds", "2", "--preset", "demo"]
    return [*launcher, "fer_train", "kfold", *arguments, *settings, *options]


def train(data: Path, out: Path, *options: str, processes: int) -> str:
    done = subprocess.run(
        command(data, out, *options, processes=processes),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_same_numbers(found: Path, expected: Path, *, only: str = "", folds: int = 2) -> None:
    """Those of every step agree to 1e-4, but for rounding; ``only`` the columns that begin so."""
    for index in range(folds):
        rows = [read_history(run / f"fold-{index}/history.csv") for run in (found, expected)]
        assert len(rows[0]) == len(rows[1])
        for each in zip(*rows, strict=True):
            mine, theirs = ({name: value for name, value in row.items() if name.startswith(only)} for row in each)
            assert mine
            assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-4)


@pytest.mark.slow
def test_two_processes_learn_as_one(tmp_path):
    """With dropout, island centers, averaged weights, an inner split, and last groups that leave one process idle."""
    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    train(data, tmp_path / "one", processes=1)
    said = train(data, tmp_path / "two", processes=2)
    assert said.count("fold 0 (1 of 2): ") == 1  # one process talks
    assert_same_numbers(tmp_path / "two", tmp_path / "one", only="train_")
    weights = [load_file(tmp_path / name / "fold-0/model.safetensors") for name in ("two", "one")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.isfinite(value).all() for value in weights[0].values())


@pytest.mark.slow
def test_two_processes_that_stream_and_are_killed_go_on_as_if_nothing_was(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    whole, broken, stream = tmp_path / "whole", tmp_path / "broken", "--data-memory=0"
    train(data, whole, processes=2)
    kill_after_checkpoints(command(data, broken, stream, processes=2), broken, count=3)
    said = train(data, broken, stream, "--resume", processes=2)
    assert "streamed, 2 reading threads" in said
    assert_same_numbers(broken, whole)
    probabilities = [RunFolder(run).read_predictions().probabilities for run in (broken, whole)]
    assert abs(probabilities[0] - probabilities[1]).max() < 1e-4


def refusal(monkeypatch, capsys, *options: str) -> str:
    from fer_train.__main__ import main

    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["fer-train", "kfold", "--preset", "demo", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_processes_must_be_told_the_run_folder(monkeypatch, capsys):
    assert "must agree on its run folder name one with --out" in refusal(monkeypatch, capsys)


def test_folds_side_by_side_and_shared_folds_are_not_mixed(tmp_path, monkeypatch, capsys):
    data = write_telling_data(tmp_path / "global.h5", subjects=2)
    message = refusal(monkeypatch, capsys, "--parallel-folds", "2", "--data", str(data), "--out", str(tmp_path / "run"))
    assert "cannot be combined" in message
    assert not (tmp_path / "run").exists()


def one_of(world: int, rank: int) -> Machine:
    return Machine(device=torch.device("cpu"), rank=rank, world=world)


@pytest.mark.parametrize(("count", "world"), [(1, 1), (4, 2), (3, 2), (5, 4), (1, 3), (2, 3)])
def test_parts_of_all_processes_are_the_step(count, world):
    samples = torch.arange(10 * count - 3)
    micro_batches = samples.tensor_split(count)
    parts = [part for rank in range(world) for part in own_parts(micro_batches, one_of(world, rank))]
    parts.sort(key=lambda part: part.number)
    assert torch.equal(torch.cat([part.rows for part in parts]), samples)
    assert [part.weight for part in parts] == [len(part.rows) / len(samples) for part in parts]


@pytest.mark.parametrize(("count", "world"), [(7, 1), (8, 2), (7, 2), (1, 3), (2, 4)])
def test_shares_of_all_processes_are_the_rows(count, world):
    rows = torch.arange(count) + 50
    shares = [own_share(rows, one_of(world, rank)) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert torch.equal(torch.cat(shares)[:count], rows)


def test_processes_judge_by_the_mean_of_their_statistics(monkeypatch):
    monkeypatch.setattr(processes, "summed", lambda values, machine: 3 * values)
    norm = nn.BatchNorm2d(3)
    norm(torch.randn(4, 3, 2, 2))
    mean, variance, count = norm.running_mean.clone(), norm.running_var.clone(), norm.num_batches_tracked.clone()
    average_buffers(norm, one_of(2, 0))
    torch.testing.assert_close(norm.running_mean, 1.5 * mean)
    torch.testing.assert_close(norm.running_var, 1.5 * variance)
    assert norm.num_batches_tracked == count
