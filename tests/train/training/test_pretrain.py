"""A start is one file, which ``--weights`` takes; its people are never judged."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import tiny_config, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_train.cli.app import app
from fer_train.models.model_file import load_model
from fer_train.models.trained_people import people_trained_on
from fer_train.settings_file import config_to_toml
from fer_train.training.cross_validate import FoldChoice, cross_validate
from fer_train.training.pretrain import pretrain, start_settings
from fer_train.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Generated people, and a start that has learned from nine tenths of them."""
    folder = tmp_path_factory.mktemp("start")
    data = write_telling_data(folder / "generated.h5", subjects=20)
    config = start_settings(tiny_config(model__with_classical=True, training__epochs=1))
    run = RunFolder(folder / "run")
    pretrain(data, folder / "start.safetensors", config=config, run=run)
    return data, folder / "start.safetensors", run


def test_a_start_is_the_network_in_half_precision(made):
    _, start, run = made
    network, _ = load_model(run.fold(0), device=torch.device("cpu"))
    halves, (again, _) = load_file(start), load_model(start, device=torch.device("cpu"))
    assert not any(name.startswith("classical.") for name in halves)
    for name, value in network.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        torch.testing.assert_close(again.state_dict()[name], expected)


def test_it_knows_its_people_and_they_are_not_judged(made, tmp_path):
    data, start, _ = made
    with DatasetFile.open(data) as file:
        everybody = set(file.column("subject"))
    assert len(people_trained_on(start)) == 18
    assert people_trained_on(start) < everybody
    config = tiny_config(model__weights=str(start))
    with pytest.raises(UsageError, match="was trained on"):
        cross_validate(data, config=config, folds=FoldChoice(number=2), run=RunFolder(tmp_path))


def test_a_training_begins_from_it_and_learns_its_people(made, tmp_path):
    _, start, _ = made
    others = write_telling_data(tmp_path / "others.h5", subjects=4)
    changes = {"model__weights": str(start), "model__same_names": "strangers", "training__epochs": 1}
    config = tiny_config(**changes, optimiser__backbone_rate=1e-6, optimiser__fusion_rate=1e-6)
    run = RunFolder(tmp_path / "run")
    cross_validate(others, config=config, folds=FoldChoice(number=2), run=run)
    network, _ = load_model(run.fold(0), device=torch.device("cpu"))
    begun, _ = load_model(start, device=torch.device("cpu"))
    for (name, value), other in zip(network.named_parameters(), begun.parameters(), strict=True):
        torch.testing.assert_close(value, other, atol=1e-3, rtol=1e-2, msg=name)
    assert people_trained_on(start) <= people_trained_on(run.fold(0))


def test_the_command_writes_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_telling_data(tmp_path / "generated.h5", subjects=20)
    config = tmp_path / "tiny.toml"
    config.write_text(config_to_toml(tiny_config(training__epochs=1)))
    words = ["pretrain", "--data", str(data), "--preset", str(config), "--out", "mine.safetensors"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert len(people_trained_on(tmp_path / "mine.safetensors")) == 18
