"""Accuracy over people: nested people, the same judged ones, runs that are not made twice."""

from __future__ import annotations

import csv
import json

import pytest
from classical_data import classical_config, write_faces

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import read_folds
from fer_train.report import curve as module
from fer_train.report.curve import COLUMNS, curve
from fer_train.training.cross_validate import FoldChoice


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("data") / "global.h5", subjects=8)


def drawn(faces, out, *, counts, said=None):
    return curve(
        faces,
        configs={"classical": classical_config()},
        counts=counts,
        folds=FoldChoice(number=2),
        out=out,
        say=(said if said is not None else []).append,
    )


@pytest.fixture(scope="module")
def made(faces, tmp_path_factory):
    out = tmp_path_factory.mktemp("curve")
    return out, drawn(faces, out, counts=[2, 3, 40])


def test_it_ends_with_everybody(made):
    assert [point.people for point in made[1]] == [2, 3, 4]


def test_people_are_nested_and_the_judged_are_the_same(made, faces):
    out, _ = made
    with DatasetFile.open(faces) as data:
        found = [read_folds(out / f"classical/{count}-people/folds.json", data=data) for count in (2, 3, 4)]
        whose = dict(zip(data.ids.tolist(), data.column("subject").tolist(), strict=True))
    for folds in zip(*(each.folds for each in found), strict=True):
        people = [{whose[name] for name in fold.train} for fold in folds]
        assert [len(each) for each in people] == [2, 3, 4]
        assert people[0] < people[1] < people[2]
        assert len({fold.val for fold in folds}) == 1


def test_the_table_has_the_summaries_numbers(made):
    out, points = made
    with (out / "curve.csv").open(newline="") as stream:
        header, *lines = csv.reader(stream)
    assert tuple(header) == COLUMNS
    summary = json.loads((out / "classical/3-people/summary.json").read_text())
    assert float(lines[1][2]) == pytest.approx(summary["overall_accuracy"]["mean"])
    assert points[1].summary == summary
    assert (out / "curve.png").is_file()


def test_nothing_is_trained_twice(made, faces, monkeypatch):
    def never(*_args, **_settings):
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "train_and_report", never)
    assert drawn(faces, made[0], counts=[2, 3]) == made[1]
