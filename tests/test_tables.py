"""Printed tables: words stay whole in a narrow terminal, titles on their line, numbers on the right."""

from __future__ import annotations

import pytest
from rich.console import Console

from fer_prep.program import console as terminal


@pytest.fixture
def printed(monkeypatch):
    """What a table looks like in a terminal of 40 columns."""
    narrow = Console(width=40, record=True, highlight=False, quiet=False)
    monkeypatch.setattr(terminal, "console", narrow)

    def render(title, columns, rows):
        terminal.print_table(title, columns, rows)
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
