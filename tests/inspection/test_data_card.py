"""The card says what the file says, in both forms."""

from __future__ import annotations

import json

import h5py
import pytest
from dataset_factories import make_rows, write_global

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.default import write_default_folds
from fer_prep.inspection.data_card import biases, write_data_card

ROWS = make_rows({"bu3dfe": 6, "mend3s": 5, "lab": 2})


@pytest.fixture
def dataset(tmp_path):
    path = write_global(tmp_path / "global.h5", ROWS)
    write_default_folds(path)
    return path


def test_the_card_names_sources_counts_and_folds(dataset):
    markdown, _ = write_data_card(dataset)
    text = markdown.read_text()
    assert "Binghamton" in text
    assert "no redistribution" in text
    assert "**lab**: no manifest" in text
    assert "| anger | 6 | 2 | 5 | 13 |" in text
    assert "subject-kfold, seed 0" in text


def test_croissant_describes_files_classes_and_fields(dataset):
    _, machine = write_data_card(dataset)
    card = json.loads(machine.read_text())
    assert card["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert card["distribution"][0]["contentUrl"] == "global.h5"
    assert len(card["distribution"][0]["sha256"]) == 64
    classes, samples = card["recordSet"]
    assert classes["data"][4] == {"classes/label": 4, "classes/emotion": "neutral"}
    places = {field["@id"]: field["source"] for field in samples["field"]}
    assert {"samples/rgb", "samples/depth", "samples/label"} <= set(places)
    with h5py.File(dataset) as root:
        for source in places.values():
            assert source["fileObject"] == {"@id": "global.h5"}
            assert source["extract"]["column"] in root
    assert card["version"].startswith("2.0.0+")


def test_equal_datasets_get_equal_cards(dataset):
    first = [path.read_bytes() for path in write_data_card(dataset)]
    assert [path.read_bytes() for path in write_data_card(dataset)] == first


def test_a_class_from_one_corpus_is_a_bias_with_numbers(tmp_path):
    rows = [row for row in ROWS if row["label"] != 4 or row["dataset"] == "mend3s"]
    with DatasetFile.open(write_global(tmp_path / "g.h5", rows)) as data:
        said = " ".join(biases(data))
    assert "neutral: 5 of 5 (100%) are from cald3r+mend3s" in said
