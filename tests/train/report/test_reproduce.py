from __future__ import annotations

import json

import pytest
from dataset_factories import make_rows, write_dataset
from tiny_training import TINY, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError, UsageError
from fer_prep.folds.protocols import read_protocol
from fer_prep.resources import manifest_file
from fer_train.analysis.experiment import Experiment, ExperimentRow, experiment_names, read_experiment
from fer_train.cli.app import app
from fer_train.report.reproduce import Reproduced, make_row_folds
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


PAIR = ["cald3r", "mend3s"]
THESIS_FIGURES = {
    "table-3.3": (PAIR, "thesis-5fold", [(6, 65.11), (7, 62.50)], [58.30]),
    "table-3.4": (["bu3dfe"], "thesis-60-40", [(6, 88.78), (7, 87.47)], [90.83, 90.24, 88.91, 90.08]),
    "table-3.5": (PAIR, "thesis-5fold", [(7, 59.81), (7, 61.73), (7, 62.50)], []),
    "table-3.6": (PAIR, "thesis-5fold", [(7, 59.82), (7, 62.50)], []),
    "table-3.7": (PAIR, "thesis-5fold", [(7, 62.32), (7, 61.73), (7, 62.50)], []),
    "table-3.9": (["bosphorus", "bu3dfe", *PAIR], "thesis-80-20", [(7, 68.48)], []),
    "figure-3.13": (PAIR, "thesis-5fold", [(7, 59.81), (7, 61.73), (7, 62.50)], []),
}
"""Name → datasets, the thesis's protocol, (classes, overall accuracy) of its rows, and of the systems it quotes."""
THESIS_SETTINGS = {
    "table-3.5": [{"loss.name": "cross-entropy"}, {"loss.name": "center"}, {"loss.name": "island"}],
    "table-3.6": [{"model.inputs": "rgb"}, {}],
    "table-3.7": [
        {"model.aggregation": "average"},
        {"model.fusion": "sum", "model.spatial_attention": "none", "model.aggregation": "average"},
        {},
    ],
}
ARTICLE_FIGURES = {
    "article-bu3dfe-six": [91.66],
    "article-bu3dfe-seven": [87.60],
    "article-losses": [59.81, 61.73, 62.50],
    "article-modalities": [88.72, 91.66],
    "article-modules": [87.25, 88.17, 91.45, 91.66],
}


@pytest.mark.parametrize("name", THESIS_FIGURES)
def test_the_thesis_s_experiments_hold_the_thesis_s_values(name):
    datasets, protocol, figures, quoted = THESIS_FIGURES[name]
    experiment = read_experiment(name)
    assert experiment.source == "thesis"
    assert sorted(experiment.selection["datasets"]) == datasets
    assert set(experiment.selection) <= {"datasets", "neutrals_per_subject"}
    assert experiment.thesis_protocol == protocol
    known = [row for row in experiment.rows if row.figure is not None]
    assert [(len(row.classes) or 7, row.figure) for row in known] == figures
    assert [other.figure for other in experiment.others] == quoted
    for row, settings in zip(known, THESIS_SETTINGS.get(name, []), strict=False):
        assert row.settings == settings
    turned = {dataset for dataset, framing in experiment.prepared.items() if framing == "rotate-only"}
    assert turned == set(datasets) & set(PAIR)
    assert set(experiment.prepared) == set(datasets)


def test_six_classes_are_those_of_each_table():
    assert "surprise" not in read_experiment("table-3.3").rows[0].classes
    assert "neutral" not in read_experiment("table-3.4").rows[0].classes


def test_global_has_one_neutral_a_person_of_bosphorus(tmp_path):
    experiment = read_experiment("table-3.9")
    assert experiment.selection["neutrals_per_subject"] == {"bosphorus": 1}
    rows = make_rows({"bosphorus": 4, "bu3dfe": 4, "cald3r": 4, "mend3s": 4}, repeats=3)
    with DatasetFile.open(write_dataset(tmp_path / "g.h5", rows)) as data:
        how = {"protocol": experiment.protocol, "folds": None, "repeats": None}
        manifest = make_row_folds(experiment, experiment.rows[0], data, **how)
        [fold] = manifest.folds
        chosen = data.rows_of([*fold.train, *fold.val])
        names, emotion = data.column("dataset")[chosen], data.labels[chosen] == data.classes.index("neutral")
    assert (emotion & (names == "bosphorus")).sum() == 4
    assert (emotion & (names == "bu3dfe")).sum() == 12


def test_the_article_s_figures_have_their_own_names():
    assert {name for name in experiment_names() if name.startswith("article-")} == set(ARTICLE_FIGURES)
    for name, figures in ARTICLE_FIGURES.items():
        experiment = read_experiment(name)
        assert experiment.source == "article"
        assert [row.figure for row in experiment.rows if row.figure is not None] == figures


@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_that_is_shipped_can_be_run(name):
    experiment = read_experiment(name)
    assert not read_protocol(experiment.protocol).leaks
    assert read_protocol(experiment.thesis_protocol).leaks
    assert len({row.folder for row in experiment.rows}) == len(experiment.rows)
    for row in experiment.rows:
        override(load_preset("thesis"), row.settings)


def test_a_file_that_was_framed_otherwise_is_said():
    experiment = read_experiment("table-3.3")
    inputs = [{"dataset": "cald3r", "settings": {"framing": "rotate"}}]
    assert experiment.framed_otherwise({"inputs": inputs}) == [
        "cald3r should be prepared with --framing rotate-only; here it is rotate",
        "mend3s should be prepared with --framing rotate-only; here it is unknown",
    ]
    right = [{"dataset": name, "settings": {"framing": "rotate-only"}} for name in PAIR]
    assert experiment.framed_otherwise({"inputs": right}) == []


def spread(mean: float) -> dict[str, float]:
    return {"mean": mean, "std": 1.25}


def test_both_points_are_printed_and_the_one_the_thesis_reports_is_named():
    experiment = read_experiment("table-3.4")
    summary = {
        "classes": ["a"] * 6,
        "samples": 2400,
        "overall_accuracy": spread(70.0),
        "average_accuracy": spread(69.0),
        "best_validation_point": {"overall_accuracy": spread(74.5)},
    }
    made = {"experiment": experiment, "config": load_preset("thesis"), "protocol": "thesis-60-40"}
    found = Reproduced(**made, summaries=(summary, summary), framed_otherwise=("not so framed",))
    first, *_ = found.table()
    assert first[1:] == ("6", "2400", "70.00 ± 1.25", "69.00 ± 1.25", "74.50 ± 1.25", "88.78")
    assert [row[-1] for row in found.table()[2:]] == ["", "90.83", "90.24", "88.91", "90.08"]
    remarks = " ".join(found.remarks())
    assert "the best validation point is what the thesis reports" in remarks
    assert "not so framed" in remarks


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
    cald = read_experiment("table-3.3")
    with DatasetFile.open(path) as data, pytest.raises(UsageError, match="needs mend3s; this file has bu3dfe, cald3r"):
        make_row_folds(cald, cald.rows[0], data, protocol="subject-kfold", folds=2, repeats=None)


def test_fewer_people_than_the_protocol_wants_are_taken_as_the_error_says(tmp_path):
    experiment = read_experiment("article-bu3dfe-six")
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
    assert "| RGB | 7 | 28 |" in page
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
    with pytest.raises(UsageError, match="no setting called 'protocl'; nearest: protocol"):
        read_experiment(str(path))
    known = 'title = "x"\nplace = "y"\nprotocol = "a"\nthesis_protocol = "b"\nsource = "c"\n'
    for rows, said in (("", "expected rows"), ("rows = []\n", "at least one")):
        path.write_text(known + rows)
        with pytest.raises(UsageError, match=said):
            read_experiment(str(path))
