"""``fer-train kfold`` and ``fit`` as typed: options that are settings, and what is left behind by a wrong command."""

from __future__ import annotations

import json

import pytest
from tiny_training import tiny_config, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import make_folds, write_folds
from fer_train.cli.app import app
from fer_train.cli.options import ShortOptions
from fer_train.settings_file import config_to_toml
from fer_train.training.run_folder import RunFolder

SHORT = {"training__epochs": 1, "training__validations_per_epoch": 1, "training__micro_batch_size": 12}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workspace with a dataset, its folds and a preset that trains for a moment."""
    data = write_telling_data(tmp_path / "global.h5", subjects=4)
    with DatasetFile.open(data) as file:
        write_folds(make_folds(file, folds=2), tmp_path / "global.folds.json", data=file)
    (tmp_path / "tiny.toml").write_text(config_to_toml(tiny_config(**SHORT)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [*words])


def test_options_are_settings_and_the_run_says_so(place):
    result = run("fit", "--preset", "tiny.toml", "--image-size", "40", "--deterministic", "--seed", "7", "--out", "run")
    assert result.exit_code == 0, result.output
    config = RunFolder.open(place / "run").config
    assert (config.data.image_size, config.machine.deterministic, config.training.seed) == (40, True, 7)
    assert json.loads((place / "run" / "fold-0" / "config.json").read_text())["image_size"] == 40


def test_trusting_a_pickle_takes_an_option_of_its_own(place):
    assert ShortOptions(weights="w.pt").assignments() == {"model.weights": "w.pt"}
    assert "--trust-pickle" in run("kfold", "--help").output


def test_without_a_gpu_it_goes_on_and_says_so_once(place, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    text = config_to_toml(tiny_config(**SHORT, machine__device="auto"))
    (place / "auto.toml").write_text(text, encoding="utf-8")
    result = run("fit", "--preset", "auto.toml", "--out", "run")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("no GPU") == 1


@pytest.mark.parametrize(
    "wrong",
    [["--data", "nowhere.h5"], ["--backbone", "resnet10"], ["--image-size", "16"], ["--weights", "nowhere.pt"]],
    ids=lambda words: words[0],
)
def test_a_command_that_cannot_start_leaves_its_place_free(place, wrong):
    before = sorted(place.iterdir())
    for out in ([], ["--out", "new/folder/run"]):
        refused = run("kfold", "--preset", "tiny.toml", *out, *wrong)
        assert refused.exit_code == 2
        assert sorted(place.iterdir()) == before


def test_folders_that_were_there_before_a_refused_run_stay(place):
    (place / "runs").mkdir()
    assert run("kfold", "--preset", "tiny.toml", "--backbone", "resnet10").exit_code == 2
    assert not list((place / "runs").iterdir())


def test_resuming_with_another_setting_shows_the_difference(place):
    assert run("fit", "--preset", "tiny.toml", "--out", "run").exit_code == 0
    refused = run("fit", "--resume", "--out", "run", "--set", "training.batch_size=13")
    assert refused.exit_code == 2
    assert "training.batch_size: 12 there, 13 here" in refused.stderr
    assert (place / "run" / "summary.json").exists()
