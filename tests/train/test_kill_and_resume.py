"""Training that is really killed, several times, ends with the weights of training that was left alone."""

from __future__ import annotations

import csv

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import write_telling_data
from training_programs import checkpoint_times, command, finish, kill_after_checkpoints, start

from fer_prep.errors import UsageError
from fer_train.training.checkpoint import load_checkpoint, save_checkpoint
from fer_train.training.run_folder import RunFolder


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


def test_a_run_folder_is_not_overwritten(tmp_path):
    from tiny_training import tiny_config

    RunFolder.create(tmp_path / "run", config=tiny_config())
    with pytest.raises(UsageError, match="--resume"):
        RunFolder.create(tmp_path / "run", config=tiny_config())


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
    run.write_predictions(predictions)
    with (tmp_path / "predictions.csv").open() as stream:
        assert next(csv.reader(stream)) == ["id", "fold", "label", "predicted", "anger", "fear"]
    back = run.read_predictions()
    assert back.ids == predictions.ids
    assert back.probabilities.tolist() == predictions.probabilities.tolist()
    assert back.predicted.tolist() == [1, 1]
