"""merge, folds, stats and browse as a user types them, in a workspace laid out by convention."""

from __future__ import annotations

import json

import pytest
from dataset_factories import make_rows, write_prepared
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for dataset, subjects in (("bu3dfe", 6), ("mend3s", 5)):
        write_prepared(tmp_path / "data" / "prepared" / dataset, make_rows({dataset: subjects}, repeats=3))
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_merge_alone_makes_dataset_folds_and_cards(workspace):
    said = run("merge", "--out", "global.h5", "--size", 32)
    assert "global.h5: 231 samples of 32×32" in said
    assert "5 subject-disjoint folds" in said
    assert sorted(path.name for path in workspace.iterdir() if path.is_file()) == [
        "global.card.md",
        "global.croissant.json",
        "global.folds.json",
        "global.h5",
    ]


def test_merge_records_what_was_selected(workspace):
    run(
        "merge",
        "--size",
        32,
        "--classes",
        "six-without-neutral",
        "--datasets",
        "bu3dfe",
        "--intensity",
        "1",
        "--no-card",
    )
    with DatasetFile.open("global.h5") as data:
        assert data.n == 6 * 6  # one of the three repeats has intensity 1
        assert data.settings["selection"]["intensity"] == [1, 1]


def test_merge_without_anything_prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no prepared folder is here" in run("merge", code=2)


def test_a_protocol_that_leaks_says_so_with_numbers(workspace):
    run("merge", "--size", 32)
    said = run("folds", "global.h5", "--protocol", "thesis-80-20", "--seed", 3, "--out", "t.json")
    assert "this protocol leaks" in said
    content = json.loads((workspace / "t.json").read_text())
    assert (content["protocol"], content["seed"], len(content["folds"])) == ("thesis-80-20", 3, 1)


def test_folds_that_cannot_be_made(workspace):
    run("merge", "--size", 32)
    assert "at least 20 subjects" in run("folds", "global.h5", "--folds", 20, code=2)
    assert "no protocol called 'nonsense'; known: bu3dfe-p1" in run("folds", "--protocol", "nonsense", code=2)


def test_the_protocols_are_listed(workspace):
    assert "thesis-5fold" in run("folds", "--list")


def test_stats_and_browse(workspace):
    run("merge", "--size", 32)
    said = run("stats", "global.h5", "--csv", "counts.csv")
    assert "samples by class and dataset" in said
    assert (workspace / "counts.csv").read_text().startswith("dataset,emotion")
    assert "global.html" in run("browse")
    assert (workspace / "global.html").is_file()


@pytest.mark.parametrize("command", ["merge", "folds", "check", "stats", "browse", "export", "import"])
def test_help_has_an_example(command):
    assert f"fer-prep {command}" in run(command, "--help")
