"""The order of events that makes a kill harmless, at the moments a random kill seldom hits."""

from __future__ import annotations

import errno

import pytest
from folder_snapshot import snapshot

from fer_prep.atomic_files import stage_file
from fer_prep.prepare.files import depth_path, rgb_path
from fer_prep.prepare.folder_writer import open_for_writing
from fer_prep.prepare.records import JOURNAL_NAME, Record

TEXTS = {"samples.csv": "samples\n", "prepared.json": "{}\n"}


def publish(writer, folder, name, *, key="key"):
    rgb = stage_file(rgb_path(folder, name), content=f"rgb {name} {key}")
    depth = stage_file(depth_path(folder, name), content=f"depth {name} {key}")
    record = Record(name=name, key=key, rgb="r", depth="d")
    writer.publish(record, rgb=rgb, depth=depth)
    return record


def write_whole(folder, *names, key="key"):
    with open_for_writing(folder, dataset="x") as writer:
        records = [publish(writer, folder, name, key=key) for name in names]
        writer.finish(records=records, texts=TEXTS)
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


def test_a_half_done_folder_has_no_description_and_a_whole_one_no_journal(tmp_path):
    write_whole(tmp_path, "a")
    assert not (tmp_path / JOURNAL_NAME).exists()
    with open_for_writing(tmp_path, dataset="x") as writer:
        assert (tmp_path / "prepared.json").exists()
        publish(writer, tmp_path, "b")
        assert not (tmp_path / "prepared.json").exists()
        assert (tmp_path / JOURNAL_NAME).exists()


def test_a_journal_cut_in_the_middle_of_a_line_is_continued(tmp_path):
    write_part(tmp_path, "a", "b")
    journal = tmp_path / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes()[:-7])
    assert write_part(tmp_path, "c") == {"a"}
    with open_for_writing(tmp_path, dataset="x") as writer:
        assert set(writer.known) == {"a", "c"}


def test_killed_after_the_description_and_before_the_journal_goes(tmp_path):
    whole = write_whole(tmp_path, "a")
    (tmp_path / JOURNAL_NAME).write_text('{"dataset": "x"}\n')
    with open_for_writing(tmp_path, dataset="x") as writer:
        writer.finish(records=writer.known.values(), texts=TEXTS)
    assert snapshot(tmp_path) == whole


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
        writer.finish(records=[writer.known["a"]], texts=TEXTS)
    assert sorted(file.name for file in (tmp_path / "rgb").iterdir()) == ["a.png", "notes.txt"]
    assert sorted(file.name for file in (tmp_path / "depth").iterdir()) == ["a.png"]


def test_a_journal_that_cannot_be_written_names_itself(tmp_path):
    class FullDisk:
        name = "journal"

        def write(self, line):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    with open_for_writing(tmp_path, dataset="x") as writer:
        writer._journal.close()
        writer._journal = FullDisk()
        with pytest.raises(OSError, match="No space left on device: 'journal'"):
            publish(writer, tmp_path, "a")
    assert write_part(tmp_path) == set()
