"""Which samples take part: each option alone, drawn by seed, recorded, and refused where it cannot work."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from dataset_factories import make_rows

from fer_prep.emotions import EMOTIONS
from fer_prep.errors import UsageError
from fer_prep.folds.selection import SELECTING_COLUMNS, Selection, parse_classes, parse_intensity, parse_neutrals

ROWS = make_rows({"bu3dfe": 5, "bosphorus": 4, "mend3s": 3}, repeats=4)
COLUMNS = {name: np.array([row[name] for row in ROWS]) for name in SELECTING_COLUMNS}
NAMES = np.array([EMOTIONS[row["label"]] for row in ROWS])


def chosen(**settings):
    return Selection(**settings).rows(COLUMNS, emotions=NAMES, classes=EMOTIONS)


def test_the_default_takes_all_and_records_nothing():
    assert chosen().tolist() == list(range(len(ROWS)))
    assert Selection().recorded() == {}


def test_classes_and_datasets():
    rows = chosen(classes=("anger", "fear"), datasets=("bu3dfe", "mend3s"))
    assert set(NAMES[rows]) == {"anger", "fear"}
    assert set(COLUMNS["dataset"][rows]) == {"bu3dfe", "mend3s"}


def test_intensity_keeps_samples_that_have_none():
    rows = chosen(intensity=(3, 4))
    assert set(COLUMNS["intensity"][rows]) == {0, 3, 4}
    assert (NAMES[rows] == "neutral").sum() == (NAMES == "neutral").sum()


def test_label_sources():
    assert set(COLUMNS["dataset"][chosen(label_sources=("elicited",))]) == {"mend3s"}


def test_neutrals_of_one_dataset():
    rows = chosen(neutrals_per_subject={"bosphorus": 1})
    neutral = Counter(COLUMNS["subject"][rows[NAMES[rows] == "neutral"]].tolist())
    assert {count for name, count in neutral.items() if name.startswith("bosphorus")} == {1}
    assert {count for name, count in neutral.items() if not name.startswith("bosphorus")} == {4}


def test_neutrals_of_a_dataset_that_is_not_there_are_a_mistake():
    with pytest.raises(UsageError, match="no samples of bosporus; there are: bosphorus"):
        chosen(neutrals_per_subject={"bosporus": 1})


def test_at_most_so_many_of_a_class_by_seed():
    rows = chosen(max_per_class=10, seed=1)
    assert set(Counter(NAMES[rows]).values()) == {10}
    assert chosen(max_per_class=10, seed=1).tolist() == rows.tolist()
    assert chosen(max_per_class=10, seed=2).tolist() != rows.tolist()
    assert Selection(max_per_class=10, seed=1).recorded() == {"max_per_class": 10, "seed": 1}
    assert Selection(max_per_class=10).recorded() == {"max_per_class": 10, "seed": 0}
    assert Selection(seed=1).recorded() == {}  # nothing is drawn


def test_a_number_of_subjects():
    assert len(set(COLUMNS["subject"][chosen(subjects=6)])) == 6
    with pytest.raises(UsageError, match=r"99 subjects are wanted; there are 12(.|\n)*says subjects = 12"):
        chosen(subjects=99)


@pytest.mark.parametrize(
    "settings",
    [
        {"classes": ("anger",)},
        {"classes": ("anger", "anger")},
        {"intensity": (0, 4)},
        {"intensity": (4, 3)},
        {"label_sources": ("guessed",)},
        {"max_per_class": -1},
    ],
)
def test_what_cannot_work_is_refused(settings):
    with pytest.raises(UsageError):
        Selection(**settings)


def test_classes_come_in_the_order_of_the_data_and_an_unknown_one_is_refused():
    assert Selection(classes=("fear", "anger")).classes_of(EMOTIONS) == ("anger", "fear")
    assert Selection().classes_of(("b", "a")) == ("b", "a")
    with pytest.raises(UsageError, match="no class bored; there are: anger, disgust"):
        chosen(classes=("anger", "bored"))


def test_an_unknown_setting_is_refused():
    with pytest.raises(UsageError, match="no setting called 'intensities'; nearest: intensity"):
        Selection().replaced_by({"intensities": [3, 4]})


def test_texts_of_the_command_line():
    assert parse_classes("six-without-neutral") == tuple(name for name in EMOTIONS if name != "neutral")
    assert parse_classes("sadness, anger") == ("anger", "sadness")
    assert parse_intensity("4") == (4, 4)
    assert parse_neutrals("2") == {"*": 2}
    assert parse_neutrals("bosphorus=1,mend3s=3") == {"bosphorus": 1, "mend3s": 3}
    for parse, text in ((parse_classes, "joy"), (parse_intensity, "high"), (parse_neutrals, "bosphorus=")):
        with pytest.raises(UsageError, match="expected"):
            parse(text)
