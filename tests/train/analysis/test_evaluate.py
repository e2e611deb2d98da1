"""A trained run, judged on a dataset of other people."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from dataset_factories import make_rows
from tiny_training import SIZE, telling_pixels, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import CLASS_SETS, EMOTIONS
from fer_prep.errors import UsageError
from fer_train.cli.app import app
from fer_train.inference.evaluate import evaluate
from fer_train.models.model_file import load_model

CPU = torch.device("cpu")


def write_others(path, subjects, *, classes=EMOTIONS):
    """A dataset of people whom ``write_telling_data`` does not know."""
    rows = make_rows(subjects, emotions=classes)
    rows = [row | {"label": list(classes).index(EMOTIONS[row["label"]])} for row in rows]
    writer = DatasetWriter(path, n=len(rows), size=SIZE, classes=classes)
    for index, row in enumerate(rows):
        writer.append(measure(row, *telling_pixels(int(row["label"]), seed=index)))
    writer.finish(settings={"made_by": "tests"})
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two folds on BU-3DFE and CalD3r."""
    folder = tmp_path_factory.mktemp("evaluate")
    return untrained_run(folder / "run", write_telling_data(folder / "global.h5", subjects=4))


def test_another_dataset_is_judged_by_all_folds_together(run, tmp_path):
    other = write_others(tmp_path / "other.h5", {"bosphorus": 4, "mend3s": 2})
    options = ["--data", str(other), "--out", str(tmp_path / "cross"), "--device", "cpu"]
    result = CliRunner().invoke(app, ["evaluate", str(run.path), *options])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "cross" / "evaluation.json").read_text())
    assert (report["models"], report["samples"], report["subjects"], report["left_out"]) == (2, 42, 6, 0)
    assert {name: entry["samples"] for name, entry in report["datasets"].items()} == {"bosphorus": 28, "mend3s": 14}
    assert (tmp_path / "cross" / "confusion.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "cross" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    found = np.array([[float(row[name]) for name in EMOTIONS] for row in rows])
    assert np.ptp(found, axis=0).max() > 1e-3
    np.testing.assert_allclose(found, mean_of_folds(run, other), atol=1e-5)
    hits = [row["label"] == row["predicted"] for row in rows]
    assert report["overall_accuracy"] == pytest.approx(100 * np.mean(hits))
    low, high = report["overall_accuracy_ci95"]
    assert low - 1e-9 <= report["overall_accuracy"] <= high + 1e-9
    mend = [hit for hit, row in zip(hits, rows, strict=True) if row["id"].startswith("mend3s/")]
    assert report["datasets"]["mend3s"]["overall_accuracy"] == pytest.approx(100 * np.mean(mend))


def mean_of_folds(run, path):
    """Each fold's network fed with pictures that are normalised by hand, by its own numbers."""
    with DatasetFile.open(path) as data:
        rgb = torch.from_numpy(data.read("rgb", range(data.n))).permute(0, 3, 1, 2).float() / 255
        depth = torch.from_numpy(data.read("depth", range(data.n)).astype(np.int32))[:, None].float() / 65535
    answers = []
    for index in (0, 1):
        network, _ = load_model(run.fold(index), device=CPU)
        numbers = json.loads((run.fold(index) / "config.json").read_text())["normalisation"]
        mean, std = (torch.tensor(numbers["rgb"][name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))
        z = torch.where(depth > 0, (depth - numbers["depth"]["mean"][0]) / numbers["depth"]["std"][0], 0.0)
        with torch.no_grad():
            answers.append(network({"rgb": (rgb - mean) / std, "depth": z}).logits.softmax(dim=1))
    return torch.stack(answers).mean(dim=0).numpy()


def test_one_fold_alone_can_be_judged(run, tmp_path):
    other = write_others(tmp_path / "other.h5", {"bosphorus": 2})
    report = evaluate(run.fold(1), other, device=CPU).report
    assert (report["models"], report["samples"]) == (1, 14)


def test_a_class_the_network_knows_and_the_data_does_not_is_refused(run, tmp_path):
    six = write_others(tmp_path / "six.h5", {"bosphorus": 2}, classes=CLASS_SETS["six-without-surprise"])
    with pytest.raises(UsageError, match="surprise"):
        evaluate(run.path, six, device=CPU)


def test_samples_of_classes_the_network_does_not_know_are_left_out_and_counted(tmp_path):
    six = CLASS_SETS["six-without-neutral"]
    run = untrained_run(tmp_path / "run", write_others(tmp_path / "six.h5", {"bu3dfe": 4}, classes=six))
    evaluation = evaluate(run.path, write_others(tmp_path / "seven.h5", {"cald3r": 3}), device=CPU)
    assert (evaluation.report["samples"], evaluation.report["left_out"]) == (18, 3)
    names = [name.split("_")[1] for name in evaluation.predictions.ids]
    assert [six[label] for label in evaluation.predictions.labels] == names


def test_people_trained_on_are_left_out_and_counted(run, tmp_path):
    mixed = write_others(tmp_path / "mixed.h5", {"bu3dfe": 2, "bosphorus": 2})
    with DatasetFile.open(mixed) as file:
        trained = set(run.read_predictions().ids)
        known = {s for s, name in zip(file.column("subject"), file.ids, strict=True) if name in trained}
    assert known == {"bu3dfe:F000", "bu3dfe:M001"} or len(known) == 2
    report = evaluate(run.path, mixed, device=CPU).report
    assert (report["samples"], report["left_out_trained_on"]) == (14, 14)
    assert list(report["datasets"]) == ["bosphorus"]


def test_strangers_of_the_same_name_are_judged_where_the_user_says_so(run, tmp_path):
    other = write_others(tmp_path / "others.h5", {"bu3dfe": 2, "bosphorus": 2})
    words = ["evaluate", str(run.path), "--data", str(other), "--device", "cpu", "--same-names", "strangers", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["samples"], report["left_out_trained_on"], report["judged_of_same_name"]) == (28, 0, 14)
    matrix = CliRunner().invoke(app, [*words, "--data", str(other)])
    assert matrix.exit_code != 0


def test_several_runs_on_one_file_are_a_matrix_with_their_own_people_out_of_fold(run, tmp_path):
    other = untrained_run(tmp_path / "on-bosphorus", write_others(tmp_path / "b.h5", {"bosphorus": 4}))
    together = write_others(tmp_path / "all.h5", {"bu3dfe": 2, "cald3r": 2, "bosphorus": 4})
    words = ["evaluate", str(run.path), str(other.path), "--data", str(together), "--device", "cpu"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "cross")])
    assert result.exit_code == 0, result.output
    assert "*" in result.stdout
    matrix = json.loads((tmp_path / "cross" / "matrix.json").read_text())
    assert {name: cell["out_of_fold"] for name, cell in matrix["run"].items()} == {
        "bosphorus": False, "bu3dfe": True, "cald3r": True,
    }  # fmt: skip
    assert {name: cell["out_of_fold"] for name, cell in matrix["on-bosphorus"].items()} == {
        "bosphorus": True, "bu3dfe": False, "cald3r": False,
    }  # fmt: skip
    own = run.read_predictions()
    mine = np.array([name.startswith("bu3dfe/") for name in own.ids])
    expected = 100 * (own.predicted == own.labels)[mine].mean()
    assert matrix["run"]["bu3dfe"]["overall_accuracy"] == pytest.approx(expected)
    judged = evaluate(other.path, together, device=CPU).report["datasets"]["cald3r"]
    assert matrix["on-bosphorus"]["cald3r"]["overall_accuracy"] == pytest.approx(judged["overall_accuracy"])
    lines = (tmp_path / "cross" / "matrix.csv").read_text().splitlines()
    assert lines[0].startswith("run,dataset,samples,overall_accuracy")
    assert len(lines) == 7
