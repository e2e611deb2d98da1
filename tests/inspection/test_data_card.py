"""The card says what the file says."""

from __future__ import annotations

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
    text = write_data_card(dataset).read_text()
    assert "Binghamton" in text
    assert "no redistribution" in text
    assert "**lab**: no manifest" in text
    assert "| anger | 6 | 2 | 5 | 13 |" in text
    assert "subject-kfold, seed 0" in text


def test_equal_datasets_get_equal_cards(dataset):
    first = write_data_card(dataset).read_bytes()
    assert write_data_card(dataset).read_bytes() == first


def test_a_class_from_one_corpus_is_a_bias_with_numbers(tmp_path):
    rows = [row for row in ROWS if row["label"] != 4 or row["dataset"] == "mend3s"]
    with DatasetFile.open(write_global(tmp_path / "g.h5", rows)) as data:
        said = " ".join(biases(data))
    assert "neutral: 5 of 5 (100%) are from cald3r+mend3s" in said
