"""The start that comes with the program: whom it knows, which presets begin from it, and when a network does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_training import write_telling_data

from fer_prep.dataset.reader import DatasetFile
from fer_prep.sample_data.write import SEEDS_OF_STARTS
from fer_train.models.model_file import build_network, load_model
from fer_train.models.starts import start_path
from fer_train.models.trained_people import people_trained_on
from fer_train.report.results import train_and_report
from fer_train.settings_file import load_preset, override
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.initial_weights import begun_in_words, set_initial_weights
from fer_train.training.pretrain import start_settings
from fer_train.training.run_folder import RunFolder

NAME = "generated-v1"


def test_it_is_small_and_knows_generated_people_of_a_seed_that_is_kept_for_it():
    path = start_path(NAME)
    assert path.stat().st_size <= 10_000_000
    seeds = {name.removeprefix("generated:").split("-")[0] for name in people_trained_on(path)}
    assert {SEEDS_OF_STARTS[int(seed)] for seed in seeds} == {NAME}


def test_a_new_start_learns_from_nothing():
    assert start_settings(load_preset("small-data")).model.weights == ""
    assert start_settings(override(load_preset("small-data"), {"model.weights": "mine"})).model.weights == "mine"


@pytest.mark.parametrize("preset", ["small-data", "demo"])
def test_the_presets_for_few_people_begin_from_it(preset, tmp_path):
    config = load_preset(preset)
    assert "began from generated-v1, which had learned from" in begun_in_words(config)
    data = write_telling_data(tmp_path / "global.h5", subjects=2)
    with DatasetFile.open(data) as file:
        network = build_network(config.model, classes=7, image_size=config.data.image_size, pretrained=False)
        people = set_initial_weights(
            network, config.model, classes=file.classes, file=file, judged=file.rows_of(file.ids.tolist())
        )
    start, _ = load_model(start_path(NAME), device=torch.device("cpu"))
    begun = dict(network.named_parameters())
    assert all(torch.equal(begun[name], value) for name, value in start.named_parameters())
    assert people == people_trained_on(start_path(NAME))


def test_another_network_begins_from_nothing_and_says_so(tmp_path, capsys):
    config = override(load_preset("demo"), {"data.image_size": 32, "training.epochs": 1, "machine.device": "cpu"})
    config = replace(config, model=replace(config.model, with_classical=False, inputs="rgb"))
    data = write_telling_data(tmp_path / "global.h5", subjects=4)
    run = RunFolder(tmp_path / "run")
    summary = train_and_report(data, config=config, folds=FoldChoice(number=2), run=run)
    assert "beginning from nothing: generated-v1 is another network (model.inputs 'rgb-relief' there, 'rgb' here" in (
        " ".join(capsys.readouterr().err.split())
    )
    assert NAME not in summary["headline"]
    assert not any(name.startswith("generated:") for name in people_trained_on(run.path))
