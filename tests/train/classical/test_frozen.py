"""A published network from an ONNX file: its features as a block, and its own answers as a row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from classical_data import SIZE, classical_config, write_faces
from torch import nn

from fer_prep.errors import FerError, UsageError
from fer_train.classical.blocks import features_of
from fer_train.classical.frozen import FrozenNetwork
from fer_train.inference.predictor import Predictor
from fer_train.report.results import train_and_report
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.run_folder import RunFolder

HOW = """
size = 40
mean = [0.5, 0.4, 0.3]
std = [0.2, 0.25, 0.3]
classes = ["surprise", "", "fear", "anger"]
"""


class Published(nn.Module):
    """Rows of the picture as features, and a layer behind them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(40, 4)

    def features(self, picture: torch.Tensor) -> torch.Tensor:
        return (picture * torch.tensor([1.0, 0.5, 0.2]).reshape(1, 3, 1, 1)).sum(dim=1).mean(dim=2).relu()

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.layer(self.features(picture))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "net.onnx"
    batch = torch.export.Dim("batch")
    pictures = torch.zeros(2, 3, 40, 40)
    torch.onnx.export(Published(), (pictures,), path, dynamic_shapes=({0: batch},), external_data=False, verbose=False)
    path.with_suffix(".toml").write_text(HOW)
    return path


def prepared(rgb: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(each).reshape(1, 3, 1, 1) for each in ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3)))
    return (rgb - mean) / std


def test_features_are_what_the_last_layer_gets(file):
    rgb = torch.rand(3, 3, 40, 40)
    found = FrozenNetwork(file).features(rgb.numpy())
    np.testing.assert_allclose(found, Published().features(prepared(rgb)).detach().numpy(), atol=1e-5)


def test_the_order_of_colours_is_as_the_file_says(file, tmp_path):
    other = tmp_path / "bgr.onnx"
    other.write_bytes(file.read_bytes())
    other.with_suffix(".toml").write_text(HOW + 'order = "bgr"')
    rgb = torch.rand(3, 3, 40, 40)
    expected = Published().features(prepared(rgb).flip(1)).detach().numpy()
    np.testing.assert_allclose(FrozenNetwork(other).features(rgb.numpy()), expected, atol=1e-5)


def test_a_graph_for_one_picture_at_a_time_is_asked_one_by_one(file, tmp_path):
    one = tmp_path / "one.onnx"
    torch.onnx.export(Published(), (torch.zeros(1, 3, 40, 40),), one, external_data=False, verbose=False)
    one.with_suffix(".toml").write_text(HOW)
    rgb = torch.rand(3, 3, 40, 40).numpy()
    np.testing.assert_allclose(FrozenNetwork(one).features(rgb), FrozenNetwork(file).features(rgb), atol=1e-6)


def test_answers_are_in_our_order_and_classes_that_only_one_side_has_get_nothing(file):
    rgb = torch.rand(5, 3, 40, 40)
    classes = ("anger", "fear", "neutral", "surprise")
    found = FrozenNetwork(file).answers(rgb, classes=classes)
    said = Published()(prepared(rgb))[:, [3, 2, 0]].softmax(1).detach().numpy()
    np.testing.assert_allclose(found[:, [0, 1, 3]], said, atol=1e-5)
    assert (found[:, 2] == 0).all()


def test_a_block_has_pictures_and_mirror_images(file):
    rgb = torch.rand(2, 3, 40, 40)
    name = f"features:{file}"
    found = features_of({"rgb": rgb}, [name])[name]
    assert found.shape == (2, 2, 40)
    expected = features_of({"rgb": rgb.flip(-1)}, [name])[name].flip(1)
    torch.testing.assert_close(found, expected)


@pytest.fixture(scope="module")
def run(file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = write_faces(folder / "global.h5")
    config = classical_config(model__blocks=f"landmarks-2d,features:{file}")
    run = RunFolder(folder / "run")
    train_and_report(data, config=config, folds=FoldChoice(number=2), run=run, baselines=True)
    return data, run


def test_it_stands_beside_the_network_as_it_is(run):
    _, run = run
    entry = run.read_summary()["baselines"]["frozen"]
    assert 0 <= entry["overall_accuracy"]["mean"] < 60  # it has learned nothing
    assert "as it is" in run.report.read_text()


def test_the_kept_model_answers_as_the_run_did(run):
    data_path, run = run
    predictor = Predictor.load(run.fold(0), device=torch.device("cpu"))
    data, judged = predictor.open_data(data_path), run.read_predictions()
    mine = judged.only(judged.folds == 0)
    found = predictor.judge(data, data.rows_of(mine.ids).numpy())
    np.testing.assert_allclose(found, mine.probabilities, atol=1e-5)
    assert set(predictor.networks[0].discriminants) == {"landmarks-2d", "features"}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (None, "how the network wants its pictures"),
        ("size = 40", "mean"),
        (HOW.replace("40", "'big'"), "size"),
        (HOW + "colour = 1", "colour"),
        (HOW + 'features = "nowhere"', "none called 'nowhere'"),
        (HOW.replace("0.25", "0"), "std above 0"),
        (HOW.replace("40", "41"), r"expected an input of \(pictures, 3, 41, 41\).*found \('?.*40, 40\)"),
        ("size = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_beside_it_is_named(file, tmp_path, how, message):
    other = tmp_path / "net.onnx"
    other.write_bytes(file.read_bytes())
    if how is not None:
        other.with_suffix(".toml").write_text(how)
    with pytest.raises(FerError, match=message):
        FrozenNetwork(other)


def test_what_is_no_network_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no network")
    path.with_suffix(".toml").write_text(HOW)
    with pytest.raises(UsageError, match=r"net\.onnx"):
        FrozenNetwork(path)
    with pytest.raises(UsageError, match="no such file"):
        FrozenNetwork(tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="known: depth-hog, features:FILE"):
        features_of({"rgb": torch.rand(1, 3, SIZE, SIZE)}, ["feature"])
