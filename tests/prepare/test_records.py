"""The journal: later lines win, cut lines are dropped, and the final file does not depend on the order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fer_prep.prepare.records import Record, header_line, read_records, records_text


def record(name: str, key: str = "k") -> Record:
    return Record(name=name, key=key, rgb="r", depth="d", measured={"roll_degrees": "1.5", "rgb_source": "picture"})


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "records"
    path.write_text(records_text("bu3dfe", [record("b"), record("ä\u2028\n")]))
    assert read_records(path) == ("bu3dfe", {"b": record("b"), "ä\u2028\n": record("ä\u2028\n")})


def test_no_file_is_no_record(tmp_path):
    assert read_records(tmp_path / "none") == (None, {})


def test_later_lines_win(tmp_path):
    path = tmp_path / "journal"
    path.write_text(header_line("x") + record("a", "old").to_line() + record("a", "new").to_line())
    assert read_records(path)[1]["a"].key == "new"


@given(st.data())
def test_a_journal_cut_anywhere_yields_whole_records_only(tmp_path_factory, data):
    lines = [record(name).to_line() for name in "abcde"]
    text = (header_line("x") + "".join(lines)).encode()
    cut = data.draw(st.integers(0, len(text)))
    path = tmp_path_factory.mktemp("cut") / "journal"
    path.write_bytes(text[:cut])
    whole = text[:cut].count(b"\n") - 1
    assert list(read_records(path)[1].values()) == [record(name) for name in "abcde"[: max(whole, 0)]]


def test_the_final_file_is_sorted():
    assert records_text("x", [record("b"), record("a")]) == records_text("x", [record("a"), record("b")])
