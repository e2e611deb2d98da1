from __future__ import annotations

import json

import pytest
from tiny_training import TINY, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError, UsageError
from fer_prep.folds.protocols import read_protocol
from fer_prep.resources import manifest_file
from fer_train.analysis.experiment import Experiment, ExperimentRow, experiment_names, read_experiment
from fer_train.analysis.reproduce import Reproduced, make_row_folds
from fer_train.cli.app import app
from fer_train.settings_file import load_preset, override

ONE_EPOCH = {"training.epochs": 1, "training.validations_per_epoch": 1, "loss.name": "cross-entropy"}


@pytest.fixture
def small(tmp_path):
    """An experiment of two rows, as a file."""
    path = tmp_path / "modalities.toml"
    path.write_text("""
title = "Two modalities"
place = "Table 9.9"
protocol = "subject-kfold"
thesis_protocol = "thesis-5fold"
source = "nowhere"
[selection]
datasets = ["bu3dfe"]
[[rows]]
name = "RGB"
figure = 12.5
settings = { "model.inputs" = "rgb" }
[[rows]]
name = "RGB + depth"
classes = ["anger", "disgust", "fear", "happiness", "sadness", "surprise"]
""")
    return path


def test_the_experiments_that_are_shipped_can_be_run():
    names = experiment_names()
    assert {"table-3.3", "table-3.4", "table-3.5", "table-3.6", "table-3.7", "table-3.9", "figure-3.13"} <= set(names)
    for name in names:
        experiment = read_experiment(name)
        assert not read_protocol(experiment.protocol).leaks
        assert read_protocol(experiment.thesis_protocol).leaks
        assert len({row.folder for row in experiment.rows}) == len(experiment.rows)
        for row in experiment.rows:
            override(load_preset("thesis"), row.settings)
        assert experiment.source or all(row.figure is None for row in experiment.rows)


def test_rows_take_their_samples_and_classes(tmp_path, small):
    path = write_telling_data(tmp_path / "global.h5", subjects=8)
    experiment = read_experiment(str(small))
    with DatasetFile.open(path) as data:
        folds = [
            make_row_folds(experiment, row, data, protocol="subject-kfold", folds=2, repeats=None)
            for row in experiment.rows
        ]
        dataset = dict(zip(data.ids.tolist(), data.column("dataset").tolist(), strict=True))
    assert [len(manifest.classes) for manifest in folds] == [7, 6]
    assert {dataset[name] for name in folds[0].fold(0).val} == {"bu3dfe"}
    cald = read_experiment("table-3.5")
    with DatasetFile.open(path) as data, pytest.raises(UsageError, match="needs mend3s; this file has bu3dfe, cald3r"):
        make_row_folds(cald, cald.rows[0], data, protocol="subject-kfold", folds=2, repeats=None)


def test_fewer_people_than_the_protocol_wants_are_taken_as_the_error_says(tmp_path):
    experiment = read_experiment("table-3.3")
    shipped = manifest_file("protocols", "bu3dfe-p1").read_text(encoding="utf-8")
    own = tmp_path / "p1-4.toml"
    with DatasetFile.open(write_telling_data(tmp_path / "data.h5", subjects=8)) as data:

        def folds_of(subjects):
            text = shipped.replace("subjects = 60", f"subjects = {subjects}")
            own.write_text(text.replace("intensity = [3, 4]", "intensity = [1, 4]"))
            return make_row_folds(experiment, experiment.rows[0], data, protocol=str(own), folds=2, repeats=1)

        with pytest.raises(UsageError, match="60 subjects are wanted; there are 4") as refused:
            folds_of(60)
        assert "a copy of the protocol's file that says subjects = 4" in str(refused.value)
        manifest = folds_of(4)
    assert len({name.split("_")[0] for fold in manifest.folds for name in fold.val}) == 4


@pytest.mark.slow
def test_a_table_is_run_printed_and_not_run_again(tmp_path, small):
    data = write_telling_data(tmp_path / "global.h5", subjects=8)
    settings = [f"--set={key}={json.dumps(value)}" for key, value in (TINY | ONE_EPOCH).items() if "." in key]
    command = ["reproduce", str(small), "--data", str(data), "--preset", "demo", "--folds", "2"]
    out = tmp_path / "out"
    first = CliRunner().invoke(app, [*command, "--out", str(out), *settings])
    assert first.exit_code == 0, first.output
    page = (out / "table.md").read_text()
    assert "| RGB | 7 |" in page
    assert "| 12.50 |" in page
    assert "not known here" in page
    assert "Not the thesis's settings" in page
    assert json.loads((out / "rgb-depth" / "summary.json").read_text())["classes"][-1] == "surprise"
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("rgb*/**/*")}
    second = CliRunner().invoke(app, [*command, "--out", str(out), *settings])
    assert second.exit_code == 0, second.output
    assert {path: path.stat().st_mtime_ns for path in out.glob("rgb*/**/*")} == stamps
    assert (out / "table.md").read_text() == page

    other = CliRunner().invoke(app, [*command, "--folds", "3", "--out", str(out), *settings])
    assert other.exit_code == 2
    assert "other folds" in other.output


def test_a_leak_is_said():
    experiment = Experiment(
        name="x",
        title="x",
        place="Table 1",
        protocol="subject-kfold",
        thesis_protocol="thesis-5fold",
        source="",
        rows=(ExperimentRow(name="one"),),
    )
    made = {"experiment": experiment, "config": load_preset("thesis"), "summaries": ()}
    assert experiment.protocol_called("thesis") == "thesis-5fold"
    ours = Reproduced(protocol="subject-kfold", **made).remarks()
    theirs = Reproduced(protocol="thesis-5fold", **made).remarks()
    assert not any(remark.startswith("This protocol leaks") for remark in ours)
    assert any("known figures are by a protocol" in remark for remark in ours)
    assert any(remark.startswith("This protocol leaks") for remark in theirs)


def test_unknown_names_and_keys_are_refused(tmp_path):
    with pytest.raises(FerError, match=r"did you mean table-3"):
        read_experiment("table-8.8")
    path = tmp_path / "wrong.toml"
    path.write_text('title = "x"\nprotocl = "y"\n[[rows]]\nname = "a"\n')
    with pytest.raises(UsageError, match="unknown key 'protocl'"):
        read_experiment(str(path))
    path.write_text('title = "x"\n')
    with pytest.raises(UsageError, match="at least one"):
        read_experiment(str(path))
