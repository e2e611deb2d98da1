"""Training that is really killed, several times, ends with the weights of training that was left alone."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest
import torch
from classical_data import classical_config, write_faces
from safetensors.torch import load_file
from tiny_training import tiny_config, untrained_run, write_telling_data
from training_programs import checkpoint_times, command, finish, kill_after_checkpoints, start
from typer.testing import CliRunner

from fer_prep.errors import UsageError
from fer_train.cli.app import app
from fer_train.settings_file import config_to_toml
from fer_train.training.checkpoint import load_checkpoint, save_checkpoint
from fer_train.training.run_folder import RunFolder, Task


@pytest.mark.slow
def test_killed_several_times_the_outcome_is_the_same_bit_for_bit(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(command(data, whole))
    kill_after_checkpoints(command(data, broken), broken, count=2)
    for count in (4, 5):
        kill_after_checkpoints(command(data, broken, "--resume"), broken, count=count)
    assert not (broken / "summary.json").exists()
    finish(command(data, broken, "--resume"))
    for fold in ("fold-0", "fold-1"):
        expected, found = (load_file(run / fold / "model.safetensors") for run in (whole, broken))
        assert expected.keys() == found.keys()
        assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
        assert (whole / fold / "history.csv").read_bytes() == (broken / fold / "history.csv").read_bytes()
    for name in ("predictions.csv", "summary.json", "folds.json"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(tmp_path):
    data, out = write_telling_data(tmp_path / "global.h5", subjects=4), tmp_path / "run"
    finish(command(data, out))
    before = checkpoint_times(out)
    finish(command(data, out, "--resume"))
    assert checkpoint_times(out) == before

    changed = start(command(data, out, "--resume", "--set=training.epochs=9"))
    output, _ = changed.communicate(timeout=100)
    assert changed.returncode == 2
    assert "training.epochs: 3 there, 9 here" in output


def test_a_checkpoint_is_whole_or_not_there(tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"step": 1})
    with pytest.raises(TypeError):
        save_checkpoint(path, {"step": (lambda: None for _ in ())})  # cannot be pickled: fails in the middle
    assert load_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "delete the file" in str(caught.value)


KILLED_AT_EVERY_WRITE = """
import os, signal, sys
from pathlib import Path
import torch
from typer.testing import CliRunner
from fer_prep import atomic_files
from fer_train.cli.app import app
from fer_train.report import results

torch.set_num_threads(1)
results.DRAWING_PACKAGES = {"none_such": "none"}  # a page more or less
data, preset = sys.argv[1:]

def command(out, *, kill_at=None):
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    writes = 0
    def counted(function):
        def call(*arguments):
            nonlocal writes
            writes += 1
            if writes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)
        return call
    atomic_files._temporary = counted(atomic_files._temporary)  # before anything is written
    atomic_files.flush_folder = counted(atomic_files.flush_folder)  # after it has its name
    done = CliRunner().invoke(app, ["kfold", "--data", data, "--folds", "2", "--preset", preset, "--out", str(out)])
    print(done.output, file=sys.stderr)
    os._exit(done.exit_code)

def files(out):
    names = ("summary.json", "predictions.csv", "folds.json", "config.toml", "run.json", "fold-1/model.safetensors")
    return [(out / name).read_bytes() for name in names]

assert command(Path("whole")) == 0
expected, number, killed = files(Path("whole")), 1, 1
while command(Path(f"run-{number}"), kill_at=number) == signal.SIGKILL:
    out = Path(f"run-{number}")
    assert command(out) == 0, f"after a kill at write {number}"
    assert files(out) == expected, f"after a kill at write {number}"
    number += 1
print(number - 1)
"""


@pytest.mark.slow
def test_killed_at_any_write_the_same_command_goes_on(tmp_path):
    data = write_faces(tmp_path / "global.h5", subjects=4)
    preset = tmp_path / "classical.toml"
    preset.write_text(config_to_toml(classical_config(model__blocks="landmarks-2d")))
    program = [sys.executable, "-c", KILLED_AT_EVERY_WRITE, str(data), str(preset)]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 20


def test_a_finished_run_is_not_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_telling_data(tmp_path / "global.h5", subjects=4)
    run = untrained_run(tmp_path / "run", data)
    run.report.touch()
    again = CliRunner().invoke(app, ["kfold", "--preset", str(run.path / "config.toml"), "--out", "run"])
    assert again.exit_code == 2
    assert "there is a run in this folder already" in again.stderr


def test_other_things_in_a_folder_are_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    with pytest.raises(UsageError, match="found other things"):
        RunFolder(tmp_path / "run").begin(tiny_config(), Task(tmp_path / "global.h5"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_predictions_are_read_back(tmp_path):
    import numpy as np

    from fer_train.metrics.predictions import Predictions

    predictions = Predictions(
        classes=("anger", "fear"),
        ids=("a/1", "a/2"),
        folds=np.array([0, 1]),
        labels=np.array([1, 0]),
        probabilities=np.array([[0.25, 0.75], [0.125, 0.875]]),
    )
    run = RunFolder(tmp_path)
    predictions.write(run.path / "predictions.csv")
    with (tmp_path / "predictions.csv").open() as stream:
        assert next(csv.reader(stream)) == ["id", "fold", "label", "predicted", "anger", "fear"]
    back = run.read_predictions()
    assert back.ids == predictions.ids
    assert back.probabilities.tolist() == predictions.probabilities.tolist()
    assert back.predicted.tolist() == [1, 1]
