"""Opening and verifying a prepared folder: what is wrong is said, and named."""

from __future__ import annotations

import json

import pytest
from fake_source import FakeSource, write_tree

from fer_prep.engines.engine import InProcessEngine
from fer_prep.errors import PreparedFolderError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.prepare.folder import PreparedFolder
from fer_prep.prepare.folder_writer import open_for_writing
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings


@pytest.fixture
def folder(tmp_path):
    tree = write_tree(tmp_path / "raw", samples=5, words={2: "broken"})
    settings = PrepareSettings(size=32, landmarks=FinderSpec(kinds=("dataset",)), mesh=False)
    prepare(FakeSource(), root=tree, out=tmp_path / "prepared", settings=settings, engine=InProcessEngine())
    return tmp_path / "prepared"


def errors_of(report):
    return {finding.what: finding for finding in report.findings if finding.severity == "error"}


def change_description(folder, **changes):
    path = folder / "prepared.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_whole_folder_tells_what_it_holds(folder):
    opened = PreparedFolder.open(folder)
    assert opened.dataset == "fake"
    assert opened.settings["size"] == 32
    assert [row["id"] for row in opened.rows] == [
        "fake/F0000_anger",
        "fake/F0001_disgust",
        "fake/F0003_happiness",
        "fake/F0004_anger",
    ]
    assert [rejection.sample_id for rejection in opened.rejections] == ["fake/F0002_fear"]
    assert opened.left_out == []
    assert opened.rgb_path("F0000_anger").is_file()
    assert opened.depth_path("F0000_anger").is_file()


def test_a_whole_folder_has_nothing_wrong(folder):
    for deep in (False, True):
        assert not check_prepared(folder, deep=deep).failed


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nothing", "found nothing"),
        ("file", "found a file"),
        ("raw", r"a prepared folder \(prepared.json\); found none"),
    ],
)
def test_what_is_no_prepared_folder_is_refused(tmp_path, folder, place, said):
    (tmp_path / "file").write_text("")
    with pytest.raises(PreparedFolderError, match=said):
        PreparedFolder.open(tmp_path / place)


def test_a_half_done_folder_is_refused(folder):
    with open_for_writing(folder, dataset="fake") as writer:
        writer.begin_changes()
    with pytest.raises(PreparedFolderError, match=r"half done.*\n.*it continues"):
        PreparedFolder.open(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format_version": 3}, "found fer-prepared version 3\nupdate fer-rgbd"),
        ({"format_version": 1}, "run the command that prepared it again: it prepares it anew"),
        ({"format": "fer-folds"}, "found fer-folds version 2"),
    ],
)
def test_another_version_or_kind_is_refused(folder, changes, said):
    change_description(folder, **changes)
    with pytest.raises(PreparedFolderError, match=said):
        PreparedFolder.open(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '"fer-prepared"'])
def test_a_broken_description_is_refused(folder, text):
    (folder / "prepared.json").write_text(text)
    with pytest.raises(PreparedFolderError, match=r"not valid JSON|a fer-prepared description") as caught:
        PreparedFolder.open(folder)
    assert "Error(" not in str(caught.value)  # words, not a Python object


def test_a_missing_picture_is_named(folder):
    (folder / "depth" / "F0003_happiness.png").unlink()
    report = check_prepared(folder)
    assert errors_of(report)["missing files"].items == ("depth/F0003_happiness.png",)


def test_a_strange_picture_is_a_warning(folder):
    (folder / "rgb" / "holiday.png").write_bytes(b"")
    report = check_prepared(folder)
    assert not report.failed
    assert ("rgb/holiday.png",) in [finding.items for finding in report.findings if finding.severity == "warning"]


@pytest.mark.parametrize("table", ["samples.csv", "rejected.csv", "left_out.csv"])
def test_an_edited_table_is_named(folder, table):
    path = folder / table
    path.write_text(path.read_text() + "\n")
    assert errors_of(check_prepared(folder))["tables"].items == (table,)


def test_other_pixels_are_found_when_looking_deep(folder):
    (folder / "rgb" / "F0000_anger.png").write_bytes((folder / "rgb" / "F0001_disgust.png").read_bytes())
    assert not check_prepared(folder).failed
    (damaged,) = errors_of(check_prepared(folder, deep=True))["pixels"].items
    assert damaged == "fake/F0000_anger: other pixels than were prepared"


def test_a_cut_off_picture_is_found_when_looking_deep(folder):
    picture = folder / "depth" / "F0000_anger.png"
    picture.write_bytes(picture.read_bytes()[:50])
    (damaged,) = errors_of(check_prepared(folder, deep=True))["pixels"].items
    assert damaged.startswith("fake/F0000_anger: ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",posed,", ",posed,posed,", "line 2: expected one cell a column"),
        ("fake:F0000,fake,F0000_anger.txt,0", "fake:F0000,fake,F0000_anger.txt,zero", "line 2: .*'zero'"),
        ("id,subject", "id,person", "found no subject"),
    ],
)
def test_a_table_that_cannot_be_read_names_its_line(folder, old, new, said):
    path = folder / "samples.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(PreparedFolderError, match=said):
        _ = PreparedFolder.open(folder).rows


def test_the_digest_is_that_of_a_dataset_of_these_samples(folder):
    from fer_prep.digests import data_digest

    opened = PreparedFolder.open(folder)
    assert opened.digest == data_digest([row["digest"] for row in opened.rows], [row["label"] for row in opened.rows])
