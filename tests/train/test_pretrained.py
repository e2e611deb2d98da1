"""Backbone weights from files: every layout that people have, and every wrong file."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
import typer

from fer_prep.cli.workspace import read_default_map
from fer_prep.errors import FormatError, SettingsError, UsageError
from fer_train.cli.app import app
from fer_train.config import Config
from fer_train.models.backbone import Backbone
from fer_train.models.pretrained import load_backbone_weights, unpickled
from fer_train.settings_file import load_preset, override

NAME = "test_efficientnet"
"""timm's miniature EfficientNet: the names of enet_b2 in small."""


@pytest.fixture(scope="module")
def whole_model():
    torch.manual_seed(1)
    model = timm.create_model(NAME, num_classes=8)
    for buffer in model.buffers():
        buffer.add_(1)  # running statistics that are not the initial ones
    # as HSEmotion's files have it: the classifier wrapped once more
    model.classifier = torch.nn.Sequential(model.classifier)
    return model


def fresh_backbone(**settings) -> Backbone:
    torch.manual_seed(2)
    return Backbone(settings.pop("name", NAME), image_size=64, **settings)


def assert_holds(backbone: Backbone, model: torch.nn.Module) -> None:
    state = model.state_dict()
    for name, tensor in backbone.trunk.state_dict().items():
        assert torch.equal(tensor, state[name]), name


LAYOUTS = {
    "plain": lambda state: state,
    "data parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "training checkpoint": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
    "wrapped twice": lambda state: {"model": {f"backbone.net.{name}": tensor for name, tensor in state.items()}},
    "beside others": lambda state: {
        **{f"encoder.{name}": tensor for name, tensor in state.items()},
        **{"decoder.weight": torch.zeros(3)},
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_state_dicts_are_found_in_every_layout(layout, whole_model, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(LAYOUTS[layout](whole_model.state_dict()), path)
    backbone = fresh_backbone()
    load_backbone_weights(backbone, path)
    assert_holds(backbone, whole_model)


def test_safetensors_and_old_torch_files(whole_model, tmp_path):
    state = whole_model.state_dict()
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("weights.safetensors", "old.pth"):
        backbone = fresh_backbone()
        load_backbone_weights(backbone, tmp_path / name)
        assert_holds(backbone, whole_model)


def test_a_pickled_module_needs_the_flag(whole_model, tmp_path):
    path = tmp_path / "enet_b2_7.pt"
    torch.save(whole_model, path)
    backbone = fresh_backbone()
    with pytest.raises(UsageError, match="--trust-pickle"):
        load_backbone_weights(backbone, path)
    made = unpickled(path)
    assert made == tmp_path / "enet_b2_7.safetensors"
    load_backbone_weights(backbone, made)
    assert_holds(backbone, whole_model)
    assert unpickled(path) == unpickled(made) == made
    safetensors.torch.save_file({"other": torch.zeros(1)}, made)
    with pytest.raises(UsageError, match="has other weights than"):
        unpickled(path)


@pytest.mark.parametrize("saved_as", ["module", "state dict"])
def test_weights_that_fit_by_shape_alone_are_refused_or_told_of(tmp_path, saved_as):
    """``efficientnet_b0`` and ``tf_efficientnet_b0`` share every name and shape, and compute differently."""
    model, path = timm.create_model("tf_efficientnet_b0"), tmp_path / "enet_b0.pt"
    torch.save(model if saved_as == "module" else model.state_dict(), path)
    path = unpickled(path)
    right, wrong = (fresh_backbone(name=name) for name in ("tf_efficientnet_b0", "efficientnet_b0"))
    said = load_backbone_weights(right, path)
    assert_holds(right, model)
    if saved_as == "module":
        assert not said
        with pytest.raises(UsageError, match="padding as TensorFlow, here symmetric"):
            load_backbone_weights(wrong, path)
    else:
        assert "does not say whether it is of efficientnet_b0 or tf_efficientnet_b0" in load_backbone_weights(
            wrong, path
        )


def test_no_file_can_consent_to_a_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("evil.toml").write_text('[model]\nweights = "bomb.pt"\ntrust_pickle = true\n')
    with pytest.raises(UsageError, match="trust_pickle"):
        load_preset("evil.toml")
    with pytest.raises(UsageError, match="trust_pickle"):
        override(Config(), {"model.trust_pickle": True})  # as --set, manifests of experiments, search spaces do
    Path("fer.toml").write_text("[fer-train.fit]\ntrust-pickle = true\n")
    with pytest.raises(SettingsError, match="trust-pickle"):
        read_default_map(typer.main.get_command(app), program="fer-train")


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the code in the file ran')",))


def test_code_in_a_file_does_not_run(tmp_path):
    path = tmp_path / "bomb.pt"
    path.write_bytes(pickle.dumps({"state_dict": Bomb()}))
    torch.save({"state_dict": Bomb()}, tmp_path / "bomb2.pt")
    for name in ("bomb.pt", "bomb2.pt"):
        with pytest.raises((UsageError, FormatError)):
            load_backbone_weights(fresh_backbone(), tmp_path / name)


def test_a_depth_stem_takes_the_sum_over_the_colours(whole_model, tmp_path):
    torch.save(whole_model.state_dict(), tmp_path / "weights.pt")
    backbone = fresh_backbone(in_channels=1)
    load_backbone_weights(backbone, tmp_path / "weights.pt")
    stem = backbone.trunk.state_dict()["conv_stem.weight"]
    torch.testing.assert_close(stem, whole_model.state_dict()["conv_stem.weight"].sum(dim=1, keepdim=True))


def test_missing_counters_of_old_batch_norms_are_no_harm(whole_model, tmp_path):
    state = {name: t for name, t in whole_model.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "weights.pt")
    load_backbone_weights(fresh_backbone(), tmp_path / "weights.pt")


def test_a_wrong_architecture_is_told_by_keys_and_shapes(whole_model, tmp_path):
    other = timm.create_model("test_resnet").state_dict()
    torch.save(other, tmp_path / "resnet.pt")
    with pytest.raises(UsageError, match=r"do not fit test_efficientnet: \d+ of \d+ tensors are missing \(conv_stem"):
        load_backbone_weights(fresh_backbone(), tmp_path / "resnet.pt")

    wider = whole_model.state_dict()
    name = "blocks.0.0.conv.weight"
    wider[name] = torch.zeros(1, 2, 3, 3)
    torch.save(wider, tmp_path / "wider.pt")
    with pytest.raises(UsageError, match=r"1 have other shapes \(blocks\.0\.0\.conv\.weight \(1, 2, 3, 3\) instead of"):
        load_backbone_weights(fresh_backbone(), tmp_path / "wider.pt")

    deeper = {**whole_model.state_dict(), "blocks.0.9.conv.weight": torch.zeros(1)}
    torch.save(deeper, tmp_path / "deeper.pt")
    with pytest.raises(UsageError, match=r"1 are too many \(blocks\.0\.9\.conv\.weight\)"):
        load_backbone_weights(fresh_backbone(), tmp_path / "deeper.pt")


def test_a_refused_file_changes_nothing(whole_model, tmp_path):
    broken = whole_model.state_dict()
    del broken["conv_stem.weight"]
    torch.save(broken, tmp_path / "weights.pt")
    backbone = fresh_backbone()
    before = {name: tensor.clone() for name, tensor in backbone.trunk.state_dict().items()}
    with pytest.raises(UsageError, match="1 of"):
        load_backbone_weights(backbone, tmp_path / "weights.pt")
    for name, tensor in backbone.trunk.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("kind", ["absent", "empty", "text", "cut", "cut safetensors", "a list"])
def test_broken_files_are_named(kind, whole_model, tmp_path):
    path = tmp_path / "weights.bin"
    torch.save([1, 2] if kind == "a list" else whole_model.state_dict(), path)
    if kind == "cut safetensors":
        safetensors.torch.save_file(whole_model.state_dict(), path)
    whole = path.read_bytes()
    if kind == "absent":
        path.unlink()
    elif kind != "a list":
        path.write_bytes({"empty": b"", "text": b"not weights at all"}.get(kind, whole[: len(whole) // 2]))
    with pytest.raises((UsageError, FormatError), match="weights"):
        load_backbone_weights(fresh_backbone(), path)
