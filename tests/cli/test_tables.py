"""Printed tables: whole lines where no terminal is, nothing lost in a narrow one, titles on one line, numbers right."""

from __future__ import annotations

import pytest
from rich.console import Console

from fer_prep.cli import console

LONG_ID = "bosphorus/bs000_LFAU_12_0-and-some-more-of-it"


@pytest.fixture
def in_terminal(monkeypatch):
    """What a table looks like in a terminal of so many columns."""

    def render(width, title, columns, rows):
        terminal = Console(width=width, record=True, highlight=False, force_terminal=True, color_system=None)
        monkeypatch.setattr(console, "console", terminal)
        console.print_table(title, columns, rows)
        return terminal.export_text()

    return render


def test_without_a_terminal_no_line_is_broken_and_nothing_is_left_out(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    what = "joy " * 60
    console.print_table("Looked at", ["id", "n", "what it is taken for"], [[LONG_ID, 3, what.strip()]])
    title, _, _, row = capsys.readouterr().out.splitlines()
    assert title == "Looked at"
    assert row.split(" │ ")[0] == LONG_ID
    assert row.endswith(what.strip())


def test_a_narrow_terminal_folds_text_between_words(in_terminal):
    text = in_terminal(40, "classes", ["class", "n", "taken for"], [["happiness", 3, "joy and other things " * 5]])
    assert "happiness" in text
    assert max(map(len, text.splitlines())) <= 40
    assert " ".join(line.split("│")[-1].strip() for line in text.splitlines()[3:]) == ("joy and other things " * 5)[:-1]


def test_where_not_even_words_fit_lines_are_longer_and_words_whole(in_terminal):
    text = in_terminal(40, "Predictions", ["id", "predicted", *"abcdefg"], [[LONG_ID, "happiness", *["100.0"] * 7]])
    (row,) = text.splitlines()[3:]
    assert [cell.strip() for cell in row.split("│")] == [LONG_ID, "happiness", *["100.0"] * 7]


def test_a_title_longer_than_its_table_is_one_line(in_terminal):
    assert in_terminal(40, "by intensity (0: none)", ["a"], [[1]]).splitlines()[0] == "by intensity (0: none)"


def test_numbers_written_out_stand_on_the_right(in_terminal):
    lines = in_terminal(40, "t", ["measure", "median"], [["a", "7.5"], ["b", "-12.5"]]).splitlines()
    assert lines[-2].endswith("  7.5")


def test_brackets_in_a_cell_are_text(in_terminal):
    assert "[b]bold[/b]" in in_terminal(40, "t", ["a"], [["[b]bold[/b]"]])
