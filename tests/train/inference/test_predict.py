"""One way from pixels to probabilities, whatever the pictures come in."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from dataset_factories import make_rows, write_prepared
from PIL import Image
from tiny_training import SIZE, judged_by, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FormatError, InstallationError, UsageError
from fer_train.cli.app import app
from fer_train.inference.predict import predict
from fer_train.inference.predictor import Predictor
from fer_train.library import Classifier
from fer_train.models.model_file import preparation_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(run of an RGB-D network, run of an RGB network, the data's path, folder with the first four samples as PNGs)."""
    place = tmp_path_factory.mktemp("predict")
    data = write_telling_data(place / "global.h5", subjects=4)
    rgbd = untrained_run(place / "rgbd", data)
    rgb = untrained_run(place / "rgb", data, model__inputs="rgb")
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
    answers = predict(Predictor.load(rgbd.fold(0), device=CPU), data)
    found = {p.id: p.probabilities for p in answers.predictions}
    assert sorted(found) == sorted(judged.ids)  # those it has learned from are left out
    assert "left out" in answers.notes[0]
    np.testing.assert_allclose([found[name] for name in judged.ids], judged.probabilities, atol=1e-5)


def test_people_a_run_knows_are_judged_by_the_folds_that_had_not_seen_them(made):
    rgbd, _, data, _ = made
    own = rgbd.read_predictions()
    answers = predict(Predictor.load(rgbd.path, device=CPU), data)
    found = {p.id: p.probabilities for p in answers.predictions}
    np.testing.assert_allclose([found[name] for name in own.ids], own.probabilities, atol=1e-5)
    assert answers.notes == [
        f"{len(own.ids)} pictures are of people that the run knows: judged by the folds that had not seen them"
    ]
    assert "that the run knows" in run(rgbd.path, data, "--format", "csv").stderr


def test_a_prepared_folder_of_people_a_run_knows_is_no_other(made, tmp_path):
    rgbd, _, data, _ = made
    prepared_folder_of(data, tmp_path / "bu3dfe", dataset="bu3dfe")
    own = rgbd.read_predictions()
    expected = {name: values for name, values in zip(own.ids, own.probabilities, strict=True) if "bu3dfe" in name}
    answers = predict(Predictor.load(rgbd.path, device=CPU), tmp_path / "bu3dfe")
    assert "that the run knows" in answers.notes[-1]
    for one in answers.predictions:
        np.testing.assert_allclose(one.probabilities, expected.pop(f"bu3dfe/{one.id}"), atol=1e-5)
    assert not expected


def test_somebody_all_networks_know_is_judged_by_none_unless_it_is_another_of_that_name(made):
    rgbd, _, data, _ = made
    fold = Predictor.load(rgbd.fold(0), device=CPU)
    everybody = run(rgbd.fold(0), data, "--same-names", "strangers", "--format", "csv")
    assert len(everybody.stdout.splitlines()) == 1 + 28
    assert "named like" in everybody.stderr
    known = replace(fold, descriptions=(replace(fold.description, people=tuple(people_of(data))),))
    with pytest.raises(UsageError, match="trained on") as raised:
        predict(known, data)
    assert "--same-names" in raised.value.hint


def people_of(data):
    with DatasetFile.open(data) as file:
        return set(file.column("subject").tolist())


def prepared_folder_of(data, folder, *, dataset, framing="rotate"):
    """The prepared folder that a dataset of a file might have come from."""
    rows = [row for row in make_rows({"bu3dfe": 2, "cald3r": 2}) if row["dataset"] == dataset]
    write_prepared(folder, rows, size=SIZE, framing=framing, mask="none")
    with DatasetFile.open(data) as file:
        for kind in ("rgb", "depth"):
            for row, image in zip(rows, file.read(kind, file.rows_of([row["id"] for row in rows])), strict=True):
                Image.fromarray(image).save(folder / kind / f"{row['id'].partition('/')[2]}.png")


def test_a_prepared_folder_that_was_framed_otherwise_is_told(made, tmp_path):
    rgbd, _, data, _ = made
    prepared_folder_of(data, tmp_path / "d", dataset="bu3dfe", framing="eyes")
    predictor = Predictor.load(rgbd.path, device=CPU)
    trained_on = {"framing": "rotate", "mask": "none", "size": 260}
    known = tuple(replace(each, preparation=trained_on) for each in predictor.descriptions)
    answers = predict(replace(predictor, descriptions=known), tmp_path / "d")
    assert answers.notes[0] == "prepared with framing 'eyes', the pictures trained on with 'rotate'"


def test_dataset_folder_and_files_give_the_same_answer(made):
    rgbd, _, data, pictures = made
    predictor = Predictor.load(rgbd.path, device=CPU)
    expected = [p.probabilities for p in predict(predictor, data, strangers_only=False).predictions[:4]]
    folder = predict(predictor, pictures, prepared=True).predictions
    assert [p.id for p in folder] == [f"face-{row}" for row in range(4)]
    np.testing.assert_allclose([p.probabilities for p in folder], expected, atol=1e-5)
    depth = pictures / "depth" / "face-2.png"
    [single] = predict(predictor, pictures / "rgb" / "face-2.png", depth=depth, prepared=True).predictions
    assert single.probabilities == pytest.approx(expected[2], abs=1e-5)
    each = [predict(Predictor.load(rgbd.fold(k), device=CPU), pictures, prepared=True).predictions for k in (0, 1)]
    mean = np.mean([[p.probabilities for p in fold] for fold in each], axis=0)
    np.testing.assert_allclose([p.probabilities for p in folder], mean, atol=1e-6)


def test_rgb_alone_does_for_a_network_of_rgb_alone(made, tmp_path):
    rgbd, rgb, data, pictures = made
    expected = predict(Predictor.load(rgb.path, device=CPU), data, strangers_only=False).predictions[1].probabilities
    for source in (pictures / "rgb", pictures / "rgb" / "face-1.png"):
        answers = predict(Predictor.load(rgb.path, device=CPU), source, prepared=True).predictions
        one = next(p for p in answers if p.id == "face-1")
        assert one.probabilities == pytest.approx(expected, abs=1e-5)
    with pytest.raises(UsageError, match="looks at depth") as raised:
        predict(Predictor.load(rgbd.path, device=CPU), pictures / "rgb" / "face-1.png")
    assert "--depth" in raised.value.hint
    with pytest.raises(UsageError, match="looks at depth"):
        predict(Predictor.load(rgbd.path, device=CPU), pictures / "rgb")


def test_depth_alone_does_for_a_network_of_depth_alone(made, tmp_path):
    _, _, data, pictures = made
    run = untrained_run(tmp_path / "depth", data, model__inputs="depth")
    predictor = Predictor.load(run.path, device=CPU)
    expected = predict(predictor, data, strangers_only=False).predictions[1].probabilities
    for source in (pictures, pictures / "depth", pictures / "depth" / "face-1.png"):
        one = next(p for p in predict(predictor, source, prepared=True).predictions if p.id == "face-1")
        assert one.probabilities == pytest.approx(expected, abs=1e-5)


def test_what_a_network_needs_and_does_not_get_is_named(made):
    rgbd, rgb, data, _ = made
    with DatasetFile.open(data) as file:
        colours, depth = file.read("rgb", [0, 1]), file.read("depth", [0, 1])
    with pytest.raises(UsageError, match="looks at rgb and depth; depth is missing, given: rgb"):
        Predictor.load(rgbd.path, device=CPU).prepare({"rgb": colours})
    with pytest.raises(UsageError, match="uint16"):
        Predictor.load(rgbd.path, device=CPU).prepare({"rgb": colours, "depth": depth.astype(np.float32)})
    with pytest.raises(UsageError, match="shape"):
        Predictor.load(rgbd.path, device=CPU).prepare({"rgb": colours, "depth": depth[:1]})
    assert Predictor.load(rgb.path, device=CPU).prepare({"rgb": colours, "depth": depth}).keys() == {"rgb"}
    both = Predictor.load(rgbd.path, device=CPU)
    images = both.prepare({"rgb": colours, "depth": depth})
    with pytest.raises(UsageError, match="features are of one fold"):
        both.features(images)


def test_the_command_prints_table_csv_and_json(made):
    rgbd, _, _, pictures = made
    table = run(rgbd.path, pictures, "--prepared").stdout
    assert all(name in table for name in ("face-3", "predicted", "hap", "sur"))
    lines = run(rgbd.path, pictures, "--prepared", "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("id,predicted,anger,disgust")
    assert len(lines) == 5
    entries = json.loads(run(rgbd.path, pictures, "--prepared", "--format", "json").stdout)
    assert entries[0]["predicted"] == lines[1].split(",")[1]
    assert sum(entries[0]["probabilities"].values()) == pytest.approx(1)
    assert run(rgbd.path, pictures, "--prepared", "--format", "xml").exit_code == 2


def test_a_picture_that_cannot_be_used_is_named_and_the_rest_goes_on(made, tmp_path):
    _, rgb, _, pictures = made
    for path in (pictures / "rgb").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.png").write_bytes((tmp_path / "face-0.png").read_bytes()[:200])
    Image.new("RGB", (64, 48)).save(tmp_path / "wide.jpg")
    result = run(rgb.path, tmp_path, "--prepared", "--format", "csv")
    assert len(result.stdout.splitlines()) == 5
    assert "broken.png" in result.stderr
    assert "wide.jpg" in result.stderr
    assert "leave --prepared out" in result.stderr
    assert result.exit_code == 1
    assert run(rgb.path, tmp_path, "--prepared", "--max-rejected", "0.5").exit_code == 0
    alone = run(rgb.path, tmp_path / "wide.jpg", "--prepared")
    assert alone.exit_code == 2
    assert "square" in alone.stderr


def test_a_depth_picture_that_is_missing_is_named(made, tmp_path):
    rgbd, _, _, pictures = made
    for kind, rows in (("rgb", (0, 1)), ("depth", (0,))):
        (tmp_path / kind).mkdir()
        for row in rows:
            (tmp_path / kind / f"face-{row}.png").write_bytes((pictures / kind / f"face-{row}.png").read_bytes())
    found = predict(Predictor.load(rgbd.path, device=CPU), tmp_path, prepared=True)
    assert [p.id for p in found.predictions] == ["face-0"]
    assert [error.path.name for error in found.rejected] == ["face-1.png"]


def test_nonsense_is_refused(made, tmp_path):
    rgbd, _, _, pictures = made
    predictor = Predictor.load(rgbd.path, device=CPU)
    with pytest.raises(UsageError, match="no such"):
        predict(predictor, tmp_path / "nothing")
    with pytest.raises(UsageError, match="no picture"):
        predict(predictor, tmp_path)
    with pytest.raises(FormatError, match="16-bit"):
        predict(predictor, pictures / "rgb" / "face-0.png", depth=pictures / "rgb" / "face-0.png")


def trained_on(predictor, **preparation):
    """The predictor as if its training pictures had been prepared so."""
    return replace(predictor, descriptions=tuple(replace(d, preparation=preparation) for d in predictor.descriptions))


def test_recorded_pictures_are_prepared_as_the_training_data_was(made, sample_faces):
    """Aligned here or by fer-prep beforehand: the same probabilities, on the command line and in Python."""
    from fer_prep.prepare.prepare_sample import prepare_files

    rgbd, _, _, _ = made
    predictor = Predictor.load(rgbd.path, device=CPU)
    face = sample_faces.upright()
    rgb, depth = sample_faces.root / face.picture, sample_faces.depth_file(face)
    eyes = trained_on(predictor, framing="eyes", size=64)
    [aligned] = predict(eyes, rgb, depth=depth).predictions
    [plain] = predict(trained_on(predictor, framing="none"), rgb, depth=depth).predictions
    assert aligned.probabilities != plain.probabilities
    assert Classifier(eyes).predict(rgb, depth=depth) == [aligned]
    prepared = prepare_files({"rgb": rgb, "depth": depth}, framing="eyes", size=64)
    pixels = prepared.rgb, prepared.depth
    folder = folder_of(pixels, made[3].parent / "aligned")
    [expected] = predict(predictor, folder, prepared=True).predictions
    assert aligned.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert Classifier(predictor).predict(folder, prepared=True) == [expected]
    assert "framed as fer-prep does by default" in run(rgbd.path, rgb, "--depth", depth).stderr


def test_what_was_recorded_is_not_taken_for_prepared_nor_the_other_way_round(made, sample_faces):
    rgbd, _, _, pictures = made
    predictor = Predictor.load(rgbd.path, device=CPU)
    face = sample_faces.upright()
    rgb, depth = sample_faces.root / face.picture, sample_faces.depth_file(face)
    with pytest.raises(FormatError, match="nearest") as raised:
        predict(predictor, rgb, depth=depth, prepared=True)
    assert "leave --prepared out" in raised.value.hint
    with pytest.raises(FormatError, match=r"0\.125 mm away") as raised:
        predict(predictor, pictures / "rgb" / "face-0.png", depth=pictures / "depth" / "face-0.png")
    assert "--prepared" in raised.value.hint
    recorded = {"rgb": np.zeros((1, 224, 224, 3), np.uint8), "depth": np.full((1, 224, 224), 5000, np.uint16)}
    with pytest.raises(FormatError, match="nearest"):
        predictor.prepare(recorded)
    with pytest.raises(FormatError, match="square"):
        predictor.prepare({name: array[:, :100] for name, array in recorded.items()})
    with pytest.raises(FormatError, match="no data"):
        predictor.prepare(recorded | {"depth": np.zeros_like(recorded["depth"])})


def test_a_recorded_picture_of_a_folder_that_shows_no_face_is_named(made, sample_faces, tmp_path):
    face = sample_faces.root / sample_faces.upright().picture
    (tmp_path / "face.png").write_bytes(face.read_bytes())
    Image.new("RGB", (224, 224), "grey").save(tmp_path / "wall.png")
    found = predict(Predictor.load(made[1].path, device=CPU), tmp_path)
    assert [p.id for p in found.predictions] == ["face"]
    assert [error.path.name for error in found.rejected] == ["wall.png"]


def test_without_the_packages_of_fer_prep_recorded_pictures_are_refused_at_once(made, sample_faces, monkeypatch):
    monkeypatch.delitem(sys.modules, "fer_prep.prepare.prepare_sample", raising=False)
    monkeypatch.setitem(sys.modules, "fer_prep.faces.landmarks", None)
    with pytest.raises(InstallationError, match="not installed") as raised:
        predict(Predictor.load(made[1].path, device=CPU), sample_faces.root / sample_faces.upright().picture)
    assert "--prepared" in raised.value.hint


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


def test_the_table_has_whole_ids_and_every_probability(made, tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    _, rgb, _, pictures = made
    name = "bs000_LFAU_12_0-taken-twice"
    (tmp_path / f"{name}.png").write_bytes((pictures / "rgb" / "face-0.png").read_bytes())
    printed = run(rgb.path, tmp_path, "--prepared").stdout
    [entry] = json.loads(run(rgb.path, tmp_path, "--prepared", "--format", "json").stdout)
    assert name in printed
    assert entry["predicted"] in printed
    assert re.findall(r"\d+\.\d", printed) == [f"{100 * value:.1f}" for value in entry["probabilities"].values()]
