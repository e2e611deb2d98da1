"""Printed tables: nothing is lost and no word split in a narrow terminal; titles on their line, numbers right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fer_prep.cli import tables


@pytest.fixture
def printed(monkeypatch):
    """What a table looks like in a terminal of 40 columns."""
    narrow = Console(width=40, record=True, highlight=False, quiet=False)
    monkeypatch.setattr(tables, "console", narrow)

    def render(title, columns, rows):
        tables.print_table(title, columns, rows)
        return narrow.export_text()

    return render


def test_long_text_gives_way_before_a_short_word_is_split(printed):
    text = printed(
        "classes", ["class", "n", "what it is taken for by people who look"], [["happiness", 3, "joy " * 20]]
    )
    assert "happiness" in text
    assert max(map(len, text.splitlines())) <= 40


def test_a_title_longer_than_its_table_is_one_line(printed):
    assert printed("by intensity (0: none)", ["a"], [[1]]).splitlines()[0].strip() == "by intensity (0: none)"


def test_numbers_written_out_stand_on_the_right(printed):
    lines = printed("t", ["measure", "median"], [["a", "7.5"], ["b", "-12.5"]]).splitlines()
    assert lines[-2].endswith("  7.5")


@given(
    st.lists(st.lists(st.text("ab ", max_size=25), min_size=3, max_size=3), max_size=4),
    st.integers(min_value=3, max_value=100),
)
def test_columns_fill_the_room_they_have_and_never_more(rows, room):
    widths = tables.column_widths(["name", "one two", "x"], rows, room=room)
    cells = zip(["name", "one two", "x"], *rows, strict=True)
    longest = [max(len(word) for word in " ".join(column).split()) for column in cells]
    if widths is None:
        assert sum(longest) + 6 > room
    else:
        assert sum(widths) + 6 <= room
        assert all(width >= word for width, word in zip(widths, longest, strict=True))


def test_where_columns_do_not_fit_rows_stand_below_each_other_and_names_are_whole(printed):
    name = "bosphorus/bs000_LFAU_12_0-and-some-more-of-it"
    text = printed("Predictions", ["id", "predicted", *"abcdefg"], [[name, "happiness", *["100.0"] * 7]])
    assert text.splitlines() == [
        "Predictions",
        name,
        "  predicted happiness, a 100.0, b 100.0,",
        "  c 100.0, d 100.0, e 100.0, f 100.0,",
        "  g 100.0",
    ]


def test_a_long_path_is_split_rather_than_the_table(printed):
    text = printed("Looked at", ["what", "found"], [["files", "/a" * 30]])
    assert "│" in text
    assert "".join(line.split("│")[-1].strip() for line in text.splitlines()[3:]) == "/a" * 30
