from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from tiny_training import judged_by, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.errors import InstallationError, UsageError
from fer_train.cli.app import app
from fer_train.environment import choose_device
from fer_train.inference import export
from fer_train.inference.predict import predict
from fer_train.inference.predictor import Predictor

with_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in export.ONNX_PACKAGES), reason="the extra onnx is not there"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two folds and its data."""
    folder = tmp_path_factory.mktemp("export")
    data = write_telling_data(folder / "global.h5", subjects=4)
    return untrained_run(folder / "run", data), data


def test_an_exported_fold_predicts_as_the_fold_does(finished, tmp_path):
    run, data = finished
    device = choose_device("cpu")
    export.export_fold(run.path, tmp_path / "model", fold=1)
    answers = [
        [p.probabilities for p in predict(Predictor.load(folder, device=device), data).predictions]
        for folder in (run.fold(1), tmp_path / "model")
    ]
    np.testing.assert_array_equal(*answers)
    content = json.loads((tmp_path / "model" / "export.json").read_text())
    assert (content["run"], content["fold"], content["onnx"]) == ("run", 1, None)


@pytest.mark.slow
@with_onnx
def test_the_onnx_graph_takes_raw_pictures_and_says_what_pytorch_says(finished, tmp_path):
    import onnxruntime

    run, data = finished
    result = CliRunner().invoke(app, ["export", str(run.path), "--out", str(tmp_path / "model"), "--onnx"])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "model/export.json").read_text())["onnx"]["largest_difference_to_pytorch"] < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "model" / "model.onnx")
    expected = judged_by(run, 0)
    rgb, depth = pictures_of(data, expected.ids[:5])
    [found] = session.run(None, {"rgb": rgb, "depth": depth})
    np.testing.assert_allclose(found, expected.probabilities[:5], atol=1e-5)


def pictures_of(path, ids):
    """Fed from the file by hand, as somebody without this project would."""
    import h5py

    with h5py.File(path) as file:
        names = file["samples/id"].asstr()[:].tolist()
        rows = [names.index(name) for name in ids]
        rgb = np.stack([file["rgb"][row] for row in rows]).transpose(0, 3, 1, 2).astype(np.float32) / 255
        depth = np.stack([file["depth"][row] for row in rows])[:, None].astype(np.float32) / 65535
    return rgb, depth


@with_onnx
def test_a_graph_that_differs_is_not_written(finished, tmp_path, monkeypatch):
    run, _ = finished
    monkeypatch.setattr(torch.onnx, "export", lambda model, pictures, path, **_: path.write_bytes(b"graph"))
    monkeypatch.setattr(export, "onnx_difference", lambda *_, **__: 0.25)
    with pytest.raises(Exception, match=r"differ from PyTorch's by up to 0\.25"):
        export.export_fold(run.path, tmp_path / "model", onnx=True)
    assert not list((tmp_path / "model").glob("*.onnx"))


def test_without_the_packages_the_error_names_them(finished, tmp_path, monkeypatch):
    run, _ = finished
    monkeypatch.setattr(export, "ONNX_PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(InstallationError, match="not installed: no_such_package") as caught:
        export.export_fold(run.path, tmp_path / "model", onnx=True)
    assert "fer-rgbd[onnx]" in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_a_missing_fold_and_a_used_folder_are_refused(finished, tmp_path):
    run, _ = finished
    with pytest.raises(UsageError, match="no fold 7"):
        export.export_fold(run.path, tmp_path / "model", fold=7)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="new or empty"):
        export.export_fold(run.path, tmp_path)
