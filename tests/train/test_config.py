from __future__ import annotations

import pytest

from fer_prep.errors import UsageError
from fer_train.config import Config
from fer_train.settings_file import (
    config_to_toml,
    differences,
    load_preset,
    override,
    parse_assignment,
    preset_names,
    read_config,
)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_survives_the_way_through_its_resolved_toml(name, tmp_path):
    config = load_preset(name)
    (tmp_path / "config.toml").write_text(config_to_toml(config), encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == config
    assert config.name == name


def test_the_thesis_preset_is_the_thesis():
    config = load_preset("thesis")
    assert (config.model.backbone, config.data.image_size, config.training.batch_size) == (
        "tf_efficientnet_b2",
        260,
        128,
    )
    assert (config.training.epochs, config.training.validations_per_epoch) == (10, 10)
    rates = config.optimiser
    assert (rates.backbone_rate, rates.fusion_rate, rates.floor_rate) == (1e-4, 1e-3, 1e-6)
    model, loss = config.model, config.loss
    assert (model.attention_maps, model.encoder_depth, model.aggregation) == (4, 4, "class-token")
    assert (loss.name, loss.island_form, loss.centers) == ("island", "nested", "sgd")


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("training.epoch=3", "nearest: training.epochs"),
        ("epochs=3", "nearest: training.epochs"),
        ("training.epochs=many", "expected a whole number; found text"),
        ("training.epochs=2.5", "expected a whole number"),
        ("training.epochs=true", "expected a whole number"),
        ("loss.name=iland", "did you mean island?"),
        ("model.depth_channels=2", "expected one of 1, 3"),
        ("model.dropout=1.5", "expected between 0 and 1"),
        ("training.micro_batch_size=0", "expected 1 or more"),
        ("training.early_stop=3", "needs training.inner_split"),
        ("optimiser.floor_rate=1", "above the highest rate"),
        ("model.encoder_heads=7", "does not divide"),
        ("model.spatial_attention=none", "without the second input"),
        ("augmentation.erase_area=[0.1]", "expected more values"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_legal(assignment, says):
    with pytest.raises(UsageError) as caught:
        override(Config(), dict([parse_assignment(assignment)]))
    assert says in str(caught.value)


def test_weights_from_two_places_contradict():
    with pytest.raises(UsageError, match="contradict"):
        override(Config(), {"model.weights": "b2.safetensors", "model.pretrained": True})


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(UsageError, match="nearest: thesis"):
        load_preset("thessis")


def test_an_unknown_key_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nepoches = 3\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_preset(str(path))
    assert str(path) in str(caught.value)
    assert "epochs" in str(caught.value)


def test_whole_numbers_serve_as_numbers():
    assert override(Config(), {"model.dropout": 0}).model.dropout == 0.0


def test_differences_leave_out_what_only_the_machine_decides():
    changed = override(Config(), {"training.epochs": 3, "machine.threads": 2})
    assert differences(Config(), changed) == ["training.epochs: 10 there, 3 here"]
