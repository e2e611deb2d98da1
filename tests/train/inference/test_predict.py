"""One way from pixels to probabilities, whatever the pictures come in."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_training import judged_by, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.cli.console import console
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FormatError, UsageError
from fer_train.cli.app import app
from fer_train.inference.evaluate import Ensemble
from fer_train.inference.pictures import Recorded
from fer_train.inference.predict import predict
from fer_train.models.model_file import preparation_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(run of an RGB-D network, run of an RGB network, the data's path, folder with the first four samples as PNGs)."""
    place = tmp_path_factory.mktemp("predict")
    data = write_telling_data(place / "global.h5", subjects=4)
    rgbd = untrained_run(place / "rgbd", data)
    rgb = untrained_run(place / "rgb", data, model__modality="rgb")
    pictures = place / "pictures"
    for name in ("rgb", "depth"):
        (pictures / name).mkdir(parents=True)
    with DatasetFile.open(data) as file:
        for row in range(4):
            Image.fromarray(file.read("rgb", [row])[0]).save(pictures / "rgb" / f"face-{row}.png")
            Image.fromarray(file.read("depth", [row])[0]).save(pictures / "depth" / f"face-{row}.png")
    return rgbd, rgb, data, pictures


def run(*words):
    return CliRunner().invoke(app, ["predict", *(str(word) for word in words), "--device", "cpu"])


def test_a_fold_predicts_as_it_did_at_the_end_of_training(made):
    rgbd, _, data, _ = made
    judged = judged_by(rgbd, 0)
    found = {p.id: p.probabilities for p in predict(Ensemble.load(rgbd.fold(0), device=CPU), data, device=CPU).made}
    np.testing.assert_allclose([found[name] for name in judged.ids], judged.probabilities, atol=1e-5)


def test_the_ensemble_is_the_mean_of_its_folds(made):
    rgbd, _, data, _ = made
    each = [predict(Ensemble.load(rgbd.fold(k), device=CPU), data, device=CPU).made for k in (0, 1)]
    together = predict(Ensemble.load(rgbd.path, device=CPU), data, device=CPU).made
    mean = np.mean([[p.probabilities for p in fold] for fold in each], axis=0)
    np.testing.assert_allclose([p.probabilities for p in together], mean, atol=1e-6)


def test_dataset_folder_and_files_give_the_same_answer(made):
    rgbd, _, data, pictures = made
    ensemble = Ensemble.load(rgbd.path, device=CPU)
    expected = [p.probabilities for p in predict(ensemble, data, device=CPU).made[:4]]
    folder = predict(ensemble, pictures, device=CPU).made
    assert [p.id for p in folder] == [f"face-{row}" for row in range(4)]
    np.testing.assert_allclose([p.probabilities for p in folder], expected, atol=1e-5)
    [single] = predict(
        ensemble, pictures / "rgb" / "face-2.png", depth=pictures / "depth" / "face-2.png", device=CPU
    ).made
    assert single.probabilities == pytest.approx(expected[2], abs=1e-5)


def test_rgb_alone_does_for_a_network_of_rgb_alone(made, tmp_path):
    rgbd, rgb, data, pictures = made
    expected = predict(Ensemble.load(rgb.path, device=CPU), data, device=CPU).made[1].probabilities
    for source in (pictures / "rgb", pictures / "rgb" / "face-1.png"):
        answers = predict(Ensemble.load(rgb.path, device=CPU), source, device=CPU).made
        one = next(p for p in answers if p.id == "face-1")
        assert one.probabilities == pytest.approx(expected, abs=1e-5)
    with pytest.raises(UsageError, match="looks at depth") as raised:
        predict(Ensemble.load(rgbd.path, device=CPU), pictures / "rgb" / "face-1.png", device=CPU)
    assert "--depth" in raised.value.hint
    with pytest.raises(UsageError, match="looks at depth"):
        predict(Ensemble.load(rgbd.path, device=CPU), pictures / "rgb", device=CPU)


def test_the_command_prints_table_csv_and_json(made):
    rgbd, _, _, pictures = made
    table = run(rgbd.path, pictures).stdout
    assert all(name in table for name in ("face-3", "predicted", "hap", "sur"))
    lines = run(rgbd.path, pictures, "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("id,predicted,anger,disgust")
    assert len(lines) == 5
    entries = json.loads(run(rgbd.path, pictures, "--format", "json").stdout)
    assert entries[0]["predicted"] == lines[1].split(",")[1]
    assert sum(entries[0]["probabilities"].values()) == pytest.approx(1)
    assert run(rgbd.path, pictures, "--format", "xml").exit_code == 2


def test_a_picture_that_cannot_be_used_is_named_and_the_rest_goes_on(made, tmp_path):
    _, rgb, _, pictures = made
    for path in (pictures / "rgb").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.png").write_bytes((tmp_path / "face-0.png").read_bytes()[:200])
    Image.new("RGB", (64, 48)).save(tmp_path / "wide.jpg")
    result = run(rgb.path, tmp_path, "--format", "csv")
    assert len(result.stdout.splitlines()) == 5
    assert "broken.png" in result.stderr
    assert "wide.jpg" in result.stderr
    assert "--align" in result.stderr
    assert result.exit_code == 1
    assert run(rgb.path, tmp_path, "--max-rejected", "0.5").exit_code == 0
    alone = run(rgb.path, tmp_path / "wide.jpg")
    assert alone.exit_code == 2
    assert "square" in alone.stderr


def test_a_depth_picture_that_is_missing_is_named(made, tmp_path):
    rgbd, _, _, pictures = made
    for kind, rows in (("rgb", (0, 1)), ("depth", (0,))):
        (tmp_path / kind).mkdir()
        for row in rows:
            (tmp_path / kind / f"face-{row}.png").write_bytes((pictures / kind / f"face-{row}.png").read_bytes())
    found = predict(Ensemble.load(rgbd.path, device=CPU), tmp_path, device=CPU)
    assert [p.id for p in found.made] == ["face-0"]
    assert [error.path.name for error in found.set_aside] == ["face-1.png"]


def test_nonsense_is_refused(made, tmp_path):
    rgbd, _, _, pictures = made
    ensemble = Ensemble.load(rgbd.path, device=CPU)
    with pytest.raises(UsageError, match="no such"):
        predict(ensemble, tmp_path / "nothing", device=CPU)
    with pytest.raises(UsageError, match="no picture"):
        predict(ensemble, tmp_path, device=CPU)
    with pytest.raises(FormatError, match="16-bit"):
        predict(ensemble, pictures / "rgb" / "face-0.png", depth=pictures / "rgb" / "face-0.png", device=CPU)


def test_recorded_pictures_are_prepared_as_the_training_data_was(made, sample_faces):
    """Aligned here or by fer-prep beforehand: the same probabilities."""
    from fer_prep.prepare.prepare_sample import prepare_picture

    rgbd, _, _, _ = made
    ensemble = Ensemble.load(rgbd.path, device=CPU)
    face = sample_faces.upright()
    rgb, depth = sample_faces.root / face.picture, sample_faces.depth_file(face)
    how = {"framing": "eyes", "size": 64}
    [aligned] = predict(ensemble, rgb, depth=depth, recorded=Recorded(preparation=how), device=CPU).made
    [plain] = predict(ensemble, rgb, depth=depth, recorded=Recorded(preparation={"framing": "none"}), device=CPU).made
    assert aligned.probabilities != plain.probabilities
    pixels = prepare_picture(rgb, depth_file=depth, framing="eyes", size=64)
    folder = folder_of(pixels, made[3].parent / "aligned")
    [expected] = predict(ensemble, folder, device=CPU).made
    assert aligned.probabilities == pytest.approx(expected.probabilities, abs=1e-6)


def folder_of(pixels, folder):
    for kind, values in zip(("rgb", "depth"), pixels, strict=True):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(folder / kind / "face.png")
    return folder


def test_the_framing_of_the_data_is_kept_where_its_folders_agree():
    def data(*settings):
        return {"inputs": [{"dataset": "d", "settings": each} for each in settings]}

    one = {"framing": "rotate", "size": 260, "mask": "none", "unfound": "reject"}
    assert preparation_of(data(one, one)) == {"framing": "rotate", "size": 260, "mask": "none"}
    assert preparation_of(data(one, one | {"framing": "eyes"})) == {"size": 260, "mask": "none"}
    assert preparation_of({}) == {}


@pytest.mark.parametrize("width", [80, 60])
def test_ids_are_whole_and_no_probability_is_lost_in_a_narrow_terminal(width, made, tmp_path, monkeypatch):
    _, rgb, _, pictures = made
    name = "bs000_LFAU_12_0-taken-twice"
    (tmp_path / f"{name}.png").write_bytes((pictures / "rgb" / "face-0.png").read_bytes())
    monkeypatch.setattr(console, "width", width)
    printed = run(rgb.path, tmp_path).stdout
    [entry] = json.loads(run(rgb.path, tmp_path, "--format", "json").stdout)
    assert name in printed
    assert entry["predicted"] in printed
    assert max(map(len, printed.splitlines())) <= width
    assert re.findall(r"\d+\.\d", printed) == [f"{100 * value:.1f}" for value in entry["probabilities"].values()]
