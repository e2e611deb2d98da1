from __future__ import annotations

import json
import re

import numpy as np
import pytest
from dataset_factories import make_rows, write_global
from tiny_training import tiny_config
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import UsageError
from fer_train.analysis.compare import compare_runs
from fer_train.cli.app import app
from fer_train.metrics.predictions import Predictions
from fer_train.training.run_folder import RunFolder, Task


@pytest.fixture
def data(tmp_path):
    return write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 12}, repeats=2), size=8)


def predictions_with(data, *, share_right, seed, ids=None):
    """Predictions of all samples (or ``ids``), of which about ``share_right`` are right."""
    with DatasetFile.open(data) as file:
        names = file.ids.tolist() if ids is None else ids
        labels = file.labels[file.rows_of(names)]
    rng = np.random.default_rng(seed)
    wrong = (labels + rng.integers(1, 7, len(labels))) % 7
    called = np.where(rng.random(len(labels)) < share_right, labels, wrong)
    return Predictions(
        classes=EMOTIONS,
        ids=tuple(names),
        folds=np.zeros(len(labels), np.int64),
        labels=labels,
        probabilities=np.eye(7)[called],
    )


def write_run(folder, data, predictions, *, folds="{}"):
    """A finished run, as far as a comparison looks at it."""
    run = RunFolder(folder)
    run.begin(tiny_config(), Task(data))
    with DatasetFile.open(data) as file:
        run.write_json("summary.json", {"data_digest": file.data_digest, "protocol": "subject-kfold", "warnings": []})
    run.folds_file.write_text(folds)
    predictions.write(run.path / "predictions.csv")
    return run.path


def test_a_better_run_is_told_from_an_equal_one(tmp_path, data):
    base = write_run(tmp_path / "base", data, predictions_with(data, share_right=0.5, seed=1))
    equal = write_run(tmp_path / "equal", data, predictions_with(data, share_right=0.5, seed=2))
    better = write_run(tmp_path / "better", data, predictions_with(data, share_right=0.8, seed=3))
    found = compare_runs([base, equal, better], data, rounds=2000)
    equals, betters = (found.runs[k].versus_first["overall_accuracy"] for k in (1, 2))
    assert equals.p > 0.05
    assert equals.ci95[0] < 0 < equals.ci95[1]
    assert betters.p_adjusted < 0.01
    assert 0 < betters.ci95[0] < betters.difference < betters.ci95[1]
    assert betters.difference == pytest.approx(
        found.runs[2].scores["overall_accuracy"] - found.runs[0].scores["overall_accuracy"]
    )
    assert (found.people, found.samples, found.left_out) == (12, 168, 0)


def test_a_run_equals_itself(tmp_path, data):
    same = predictions_with(data, share_right=0.5, seed=1)
    paths = [write_run(tmp_path / name, data, same) for name in ("one", "two")]
    difference = compare_runs(paths, data, rounds=200).runs[1].versus_first["average_accuracy"]
    assert (difference.difference, difference.ci95, difference.p) == (0.0, (0.0, 0.0), 1.0)


def test_what_cannot_be_compared_is_refused_and_what_is_doubtful_said(tmp_path, data):
    with DatasetFile.open(data) as file:
        half = file.ids[:84].tolist()
    one = write_run(tmp_path / "one", data, predictions_with(data, share_right=0.5, seed=1))
    part = write_run(tmp_path / "part", data, predictions_with(data, share_right=0.5, seed=2, ids=half), folds="[]")
    found = compare_runs([one, part], data, rounds=200)
    assert (found.samples, found.left_out) == (84, 84)
    assert any("different folds" in note for note in found.notes)
    assert any("Only 6 people" in note for note in found.notes)
    other = write_global(tmp_path / "other.h5", make_rows({"cald3r": 3}), size=8)
    with pytest.raises(UsageError, match="other data"):
        compare_runs([one, part], other)
    with pytest.raises(UsageError, match="at least two"):
        compare_runs([one], data)
    (part / "summary.json").unlink()
    with pytest.raises(UsageError, match="not finished"):
        compare_runs([one, part], data)


def test_the_command_prints_a_table_or_json(tmp_path, data):
    paths = [
        str(write_run(tmp_path / name, data, predictions_with(data, share_right=share, seed=1)))
        for name, share in (("weak", 0.4), ("strong", 0.8))
    ]
    options = ["compare", *paths, "--data", str(data), "--rounds", "200"]
    table = CliRunner().invoke(app, options)
    assert table.exit_code == 0, table.output
    assert "Against weak" in table.output
    found = json.loads(CliRunner().invoke(app, [*options, "--json"]).output)
    assert [run["name"] for run in found["runs"]] == ["weak", "strong"]
    assert found["runs"][1]["versus_first"]["overall_accuracy"]["difference"] > 20


@pytest.mark.parametrize("width", [120, 80, 60])
def test_names_and_numbers_of_the_table_are_whole_in_a_narrow_terminal(width, tmp_path, data, monkeypatch):
    names = ["2026-11-28-102030-demo-rgb", "2026-11-28-112030-demo-rgbd"]
    paths = [
        str(write_run(tmp_path / name, data, predictions_with(data, share_right=share, seed=1)))
        for name, share in zip(names, (0.4, 0.8), strict=True)
    ]
    monkeypatch.setenv("COLUMNS", str(width))
    options = ["compare", *paths, "--data", str(data), "--rounds", "200"]
    printed = CliRunner().invoke(app, options).stdout
    found = json.loads(CliRunner().invoke(app, [*options, "--json"]).output)["runs"][1]["versus_first"]
    lines = printed.split("Against")[1].splitlines()
    tables = [line for line in lines if not line[:1].isupper()]  # notes are sentences
    assert sum(names[1] in line for line in tables) == len(found)
    told = re.findall(r"\d\.\d{4}", "\n".join(tables))
    assert told == [f"{each[key]:.4f}" for each in found.values() for key in ("p", "p_adjusted")]
