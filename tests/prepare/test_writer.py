"""The order of events that makes a kill harmless, at the moments a random kill seldom hits."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest
from folder_snapshot import snapshot
from hypothesis import given
from hypothesis import strategies as st

from fer_prep.atomic_files import stage_file
from fer_prep.prepare.folder import KINDS, RECORDS, sample_file
from fer_prep.prepare.folder_writer import Record, open_for_writing

TEXTS = {"samples.csv": "samples\n", "prepared.json": "{}\n"}


def publish(writer, folder, name, *, key="key"):
    staged = {}
    for kind in KINDS:
        path = sample_file(folder, kind, name)
        path.parent.mkdir(exist_ok=True)
        staged[kind] = stage_file(path, content=f"{kind} {name} {key}")
    record = Record(name=name, key=key, files=dict.fromkeys(KINDS, "digest"))
    writer.publish(record, staged=staged)
    return record


def write_whole(folder, *names, key="key"):
    with open_for_writing(folder, dataset="x") as writer:
        records = [publish(writer, folder, name, key=key) for name in names]
        writer.finish(records=records, content=TEXTS)
    return snapshot(folder)


def write_part(folder, *names):
    """A run that ends early; what it knew of earlier ones."""
    with open_for_writing(folder, dataset="x") as writer:
        for name in names:
            publish(writer, folder, name)
        return set(writer.known)


def test_what_was_published_is_known_to_the_next_run(tmp_path):
    write_part(tmp_path, "a")
    with open_for_writing(tmp_path, dataset="x") as writer:
        assert set(writer.known) == {"a"}


def test_a_half_done_folder_has_no_description(tmp_path):
    write_whole(tmp_path, "a")
    with open_for_writing(tmp_path, dataset="x") as writer:
        assert (tmp_path / "prepared.json").exists()
        publish(writer, tmp_path, "b")
        assert not (tmp_path / "prepared.json").exists()


def test_records_cut_in_the_middle_of_a_line_are_continued(tmp_path):
    write_part(tmp_path, "a", "b")
    records = tmp_path / RECORDS
    records.write_bytes(records.read_bytes()[:-7])
    assert write_part(tmp_path, "c") == {"a"}
    with open_for_writing(tmp_path, dataset="x") as writer:
        assert set(writer.known) == {"a", "c"}


def test_leftovers_of_killed_runs_are_gone_afterwards(tmp_path):
    whole = write_whole(tmp_path, "a")
    for place in (tmp_path, tmp_path / "rgb", tmp_path / "depth"):
        (place / ".b.png.0123abcd.part").write_text("half")
    with open_for_writing(tmp_path, dataset="x"):
        pass
    assert snapshot(tmp_path) == whole


def test_pictures_without_a_sample_are_removed_and_other_files_stay(tmp_path):
    write_whole(tmp_path, "a", "b")
    (tmp_path / "rgb" / "notes.txt").write_text("mine")
    with open_for_writing(tmp_path, dataset="x") as writer:
        writer.finish(records=[writer.known["a"]], content=TEXTS)
    assert sorted(file.name for file in (tmp_path / "rgb").iterdir()) == ["a.png", "notes.txt"]
    assert sorted(file.name for file in (tmp_path / "depth").iterdir()) == ["a.png"]


def test_what_the_dataset_no_longer_has_is_removed(tmp_path):
    write_whole(tmp_path, "a")
    with open_for_writing(tmp_path, dataset="x") as writer:
        record = replace(writer.known["a"], files={"depth": "digest"})
        writer.finish(records=[record], content=TEXTS)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["depth"]


@given(st.data())
def test_records_cut_anywhere_yield_whole_records_only(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    write_part(folder, *"abcde")
    text = (folder / RECORDS).read_bytes()
    cut = data.draw(st.integers(0, len(text)))
    (folder / RECORDS).write_bytes(text[:cut])
    with open_for_writing(folder, dataset="x") as writer:
        assert list(writer.known) == list("abcde")[: max(text[:cut].count(b"\n") - 1, 0)]


def test_later_lines_win_and_the_records_are_sorted(tmp_path):
    with open_for_writing(tmp_path, dataset="x") as writer:
        for name, key in (("b", "old"), ("a", "new"), ("b", "new")):
            publish(writer, tmp_path, name, key=key)
    with open_for_writing(tmp_path, dataset="x") as writer:
        assert {name: record.key for name, record in writer.known.items()} == {"a": "new", "b": "new"}
        writer.finish(records=writer.known.values(), content=TEXTS)
    assert snapshot(tmp_path) == write_whole(tmp_path, "a", "b", key="new")


def test_records_that_cannot_be_written_are_named(tmp_path):
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_for_writing(tmp_path, dataset="x") as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / RECORDS).stat().st_size, hard))
        try:
            with pytest.raises(OSError, match=r"\.records\.jsonl"):
                publish(writer, tmp_path, "a")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
