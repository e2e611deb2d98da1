"""Damaged and hostile settings, descriptions of models, experiments and tables of runs: our own error, or an answer."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import tomli_w
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_hostile_files import MANY, answers, changed, mangled
from tiny_training import SIZE, tiny_config, untrained_run, write_telling_data

from fer_prep.errors import FerError, UsageError
from fer_prep.resources import manifests_folder
from fer_train.analysis.experiment import read_experiment
from fer_train.data.inputs import INPUTS
from fer_train.data.normalise import FoldNormalisation
from fer_train.inference.predictor import Predictor
from fer_train.models.model_file import DESCRIPTION, build_network, describe, load_model, save_model
from fer_train.settings_file import config_to_toml, load_preset
from fer_train.training.run_folder import PREDICTIONS, TASK

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("hostile")
    return untrained_run(place / "run", write_telling_data(place / "global.h5", subjects=4))


@pytest.fixture(scope="module")
def fold(run, tmp_path_factory):
    """A trained fold whose description may be changed, and what it said."""
    folder = shutil.copytree(run.fold(0), tmp_path_factory.mktemp("fold") / "fold-0")
    return folder, (folder / DESCRIPTION).read_text()


def judge(folder):
    """Read a network and let it judge two pictures."""
    predictor = Predictor.load(folder, device=CPU)
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (2, SIZE, SIZE, 3), dtype=np.uint8)
    depth = rng.integers(1, 9000, (2, SIZE, SIZE)).astype(np.uint16)
    depth[:, 0, 0] = 1
    stored = {"rgb": rgb, "depth": depth}
    return predictor.probabilities(predictor.prepare({name: stored[name] for name in predictor.modalities}))


@MANY
@given(st.data())
def test_descriptions_of_models(fold, draw):
    folder, good = fold
    for content in (json.dumps(draw.draw(changed(json.loads(good)))).encode(), draw.draw(mangled(good.encode()))):
        (folder / DESCRIPTION).write_bytes(content)
        answers(judge, folder)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("", "image_size", 2048),
        ("", "image_size", 10**9),
        ("model", "token_width", 16_384),
        ("model", "encoder_depth", 10**9),
        ("model", "encoder_depth", 256),
        ("model", "mlp_width", 65_536),
        ("model", "attention_maps", 256),
        ("model", "backbone", "vit_giant_patch14_224"),
        ("model", "network", "none"),
    ],
)
def test_a_small_description_makes_no_large_network(fold, section, key, value):
    folder, good = fold
    content = json.loads(good)
    (content[section] if section else content)[key] = value
    (folder / DESCRIPTION).write_text(json.dumps(content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError) as refused:
        load_model(folder, device=CPU)
    assert str(folder) in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


@pytest.mark.parametrize("inputs", ["points", "voxels", "colour-voxels", "rgb,normals"])
def test_a_description_keeps_what_inputs_are_computed_with(tmp_path, inputs):
    """Whatever settings of ``[data]`` an input has, a network of it comes back from its folder."""
    network = {"points": "pointnet", "voxels": "voxnet", "colour-voxels": "voxnet"}.get(inputs, "two-stream")
    config = tiny_config(model__network=network, model__inputs=inputs, data__smoothing_mm=3.0, data__voxels=16)
    kinds = {name: INPUTS[name] for name in config.model.input_names}
    moments = {name: ([0.5] * kind.channels, [0.25] * kind.channels) for name, kind in kinds.items()}
    normalisation = FoldNormalisation(moments, settings=asdict(config.data))
    made = build_network(config.model, classes=2, image_size=SIZE, pretrained=False)
    described = describe(config, classes=("a", "b"), normalisation=normalisation, people=["p"])
    save_model(tmp_path, made.state_dict(), description=described)
    _, again = load_model(tmp_path, device=CPU)
    assert again.normalisation.to_dict() == normalisation.to_dict()
    assert any(kind.settings for kind in kinds.values())


@MANY
@given(st.data(), st.sampled_from(["table-3.3", "table-3.9"]))
def test_experiments_and_settings(tmp_path, draw, name):
    import tomllib

    experiment = (manifests_folder() / "experiments" / f"{name}.toml").read_text()
    for good, reader in ((experiment, read_experiment), (config_to_toml(tiny_config()), load_preset)):
        path = tmp_path / "mine.toml"
        path.write_bytes(draw.draw(mangled(good.encode())))
        answers(reader, str(path))
        try:
            path.write_text(tomli_w.dumps(draw.draw(changed(tomllib.loads(good)))))
        except (TypeError, ValueError, AttributeError, UnicodeEncodeError):
            continue  # TOML has no such thing
        answers(reader, str(path))


@MANY
@given(st.data())
def test_what_a_run_says_of_itself(run, tmp_path, draw):
    place = tmp_path / "run"
    shutil.copytree(run.path, place, dirs_exist_ok=True)
    mine = type(run)(place)
    (place / TASK).write_bytes(draw.draw(mangled((place / TASK).read_bytes())))
    answers(lambda: mine.task)
    (place / PREDICTIONS).write_bytes(draw.draw(mangled((place / PREDICTIONS).read_bytes())))
    answers(mine.read_predictions)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[training]\nepochs = 'ten'\n", "training.epochs = 'ten': expected a whole number"),
        ("[training]\nepoch = 3\n", "nearest: training.epochs"),
        ("model = 3\n", "model = 3: expected a table"),
        ("[training\n", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_file_key_expectation_and_finding(tmp_path, content, said):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(FerError) as refused:
        load_preset(str(path))
    assert str(path) in str(refused.value)
    assert said in str(refused.value)
