"""A dataset prepared in parts: together the parts are the whole, and nothing less is merged."""

from __future__ import annotations

import shutil

import pytest
from fake_source import FakeSource, write_tree

from fer_prep.engines.engine import InProcessEngine
from fer_prep.errors import PreparedFolderError, UsageError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.merge.merge_folders import merge
from fer_prep.merge.plan import find_prepared
from fer_prep.prepare.folder import PreparedFolder
from fer_prep.prepare.parts import Part
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings

SETTINGS = PrepareSettings(size=32, landmarks=FinderSpec(kinds=("dataset",)), mesh=False)
WORDS = {1: "faceless", 4: "broken"}


def run(tree, out, **options):
    return prepare(FakeSource(), root=tree, out=out, engine=InProcessEngine(), **{"settings": SETTINGS, **options})


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "raw", samples=30, words=WORDS)


@pytest.fixture
def parts(tree, tmp_path):
    """Three parts beside the place of the whole."""
    out = tmp_path / "prepared" / "fake"
    for index in (1, 2, 3):
        run(tree, out, part=Part(index=index, count=3))
    return find_prepared(out.parent)


def test_each_part_has_a_folder_of_its_own(parts):
    assert [path.name for path in parts] == ["fake.part-1-of-3", "fake.part-2-of-3", "fake.part-3-of-3"]
    assert Part(index=3, count=64).folder(parts[0].with_name("bu3dfe")).name == "bu3dfe.part-03-of-64"
    assert not any(check_prepared(path, deep=True).failed for path in parts)


def test_every_recording_is_in_one_part(tree, tmp_path, parts):
    run(tree, tmp_path / "whole")
    whole, folders = PreparedFolder.open(tmp_path / "whole"), [PreparedFolder.open(path) for path in parts]
    together = [row["id"] for folder in folders for row in folder.rows]
    assert sorted(together) == [row["id"] for row in whole.rows]
    assert min(len(folder.rows) for folder in folders) > 0
    rejected = sorted(r.source_file for folder in folders for r in folder.rejections)
    assert rejected == sorted(r.source_file for r in whole.rejections)


def test_the_parts_merge_to_the_bytes_of_the_whole(tree, tmp_path, parts):
    run(tree, tmp_path / "whole")
    merge([tmp_path / "whole"], out=tmp_path / "whole.h5", size=32)
    merge(parts, out=tmp_path / "parts.h5", size=32)
    assert (tmp_path / "parts.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_missing_parts_are_named(parts, tmp_path):
    with pytest.raises(PreparedFolderError, match=r"of 3 parts of fake 2 missing: 1/3, 3/3"):
        merge(parts[1:2], out=tmp_path / "global.h5", size=32)
    assert not (tmp_path / "global.h5").exists()


def test_a_part_that_is_half_done_is_no_part(parts, tmp_path):
    (parts[1] / "prepared.json").unlink()
    (parts[1] / ".journal.jsonl").write_text("")
    with pytest.raises(PreparedFolderError, match="half done"):
        merge(parts, out=tmp_path / "global.h5", size=32)


def test_parts_of_different_trees_are_refused(tree, tmp_path, parts):
    write_tree(tree, samples=31, words=WORDS)
    run(tree, tmp_path / "prepared" / "fake", part=Part(index=2, count=3))
    with pytest.raises(PreparedFolderError, match="from a tree with other recordings"):
        merge(parts, out=tmp_path / "global.h5", size=32)


def test_parts_by_different_settings_are_refused(tree, tmp_path, parts):
    other = PrepareSettings(size=32, framing="eyes", landmarks=SETTINGS.landmarks, mesh=False)
    run(tree, tmp_path / "prepared" / "fake", part=Part(index=3, count=3), settings=other)
    with pytest.raises(PreparedFolderError, match="with other settings"):
        merge(parts, out=tmp_path / "global.h5", size=32)


def test_parts_of_different_divisions_are_refused(tree, tmp_path, parts):
    run(tree, tmp_path / "prepared" / "fake", part=Part(index=4, count=4))
    with pytest.raises(PreparedFolderError, match="into another number of parts"):
        merge([*parts, tmp_path / "prepared" / "fake.part-4-of-4"], out=tmp_path / "global.h5", size=32)


def test_a_copy_of_a_part_is_refused(tmp_path, parts):
    shutil.copytree(parts[0], tmp_path / "copy")
    with pytest.raises(PreparedFolderError, match="named more than once"):
        merge([*parts, tmp_path / "copy"], out=tmp_path / "global.h5", size=32)


def test_a_part_without_samples_is_whole(tree, tmp_path):
    folders = []
    for index in range(1, 61):  # more parts than recordings
        run(tree, tmp_path / "fake", part=Part(index=index, count=60))
        folders.append(Part(index=index, count=60).folder(tmp_path / "fake"))
    assert any(not PreparedFolder.open(path).rows for path in folders)
    assert merge(folders, out=tmp_path / "global.h5", size=32).n == 28


def test_check_says_that_a_folder_is_a_part(parts):
    notes = [finding.text for finding in check_prepared(parts[0]).findings if finding.what == "part"]
    assert notes == ["part 1 of 3: merging needs all of them"]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "-1/3", "a/b", "1/3/5", ""])
def test_a_part_is_i_of_n(text):
    with pytest.raises(UsageError, match="expected I/N"):
        Part.parse(text)


def test_a_part_is_read():
    assert Part.parse("3/8") == Part(index=3, count=8)
