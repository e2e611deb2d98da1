"""Counts add up, measures are those of the rows, and what stands out is named."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from dataset_factories import make_rows, write_global

from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import EMOTIONS
from fer_prep.inspection.statistics import (
    counts_csv,
    crosstab,
    measures,
    measures_table,
    outliers,
    subjects_table,
)

ROWS = make_rows({"bu3dfe": 4, "mend3s": 3}, repeats=2)


@pytest.fixture
def data(tmp_path):
    rows = [dict(row) for row in ROWS]
    for place, row in enumerate(rows):
        row["left_eye"] = (20.0 + place % 5 * 0.1, 12.0)
    rows[5]["left_eye"] = (31.0, 12.0)
    with DatasetFile.open(write_global(tmp_path / "global.h5", rows)) as opened:
        yield opened


def test_counts_by_class_and_dataset(data):
    names, counts = crosstab(data, "dataset")
    assert names == ["bu3dfe", "mend3s"]
    assert counts == {emotion: [8, 6] for emotion in EMOTIONS}


def test_two_datasets_of_one_corpus_are_shown_apart_and_together(tmp_path):
    rows = make_rows({"bu3dfe": 1, "cald3r": 2, "mend3s": 3})
    with DatasetFile.open(write_global(tmp_path / "g.h5", rows)) as data:
        assert crosstab(data, "corpus")[1]["fear"] == [1, 5]


def test_a_dataset_alone_is_a_corpus_of_its_own(data):
    assert crosstab(data, "corpus") == crosstab(data, "dataset")


def test_the_csv_adds_up(data):
    lines = list(csv.DictReader(io.StringIO(counts_csv(data))))
    assert sum(int(line["samples"]) for line in lines) == data.n
    neutral = [line for line in lines if line["dataset"] == "bu3dfe" and line["emotion"] == "neutral"]
    assert [(line["gender"], line["samples"], line["subjects"]) for line in neutral] == [
        ("F", "4", "2"),
        ("M", "4", "2"),
    ]


def test_subjects_and_their_gender(data):
    assert subjects_table(data)[1] == ["mend3s", 3, 2, 1, 0, 42, "14 / 14 / 14"]


def test_measures_are_those_of_the_samples(data):
    found = {f"{measure.name} {measure.unit}": measure.values for measure in measures(data)}
    depth = data.read("depth", [3])[0]
    expected = (int(depth.max()) - int(depth[depth > 0].min())) * 0.01
    assert found["depth range mm"][3] == pytest.approx(expected)
    assert found["depth coverage %"][3] == pytest.approx(100 * (depth > 0).mean())
    assert found["eye distance px"][0] == pytest.approx(8)
    assert found["eye distance mm"][0] == pytest.approx(40)


def test_an_unknown_measure_has_no_line(data):
    found = measures(data)
    found[3].values[:] = np.nan
    assert not [line for line in measures_table(data, found) if line[0] == "eye distance (mm)"]


def test_an_outlier_is_named(data):
    named = [line for line in outliers(data, measures(data)) if line[1] == "eye distance"]
    assert {line[0] for line in named} == {ROWS[5]["id"]}
