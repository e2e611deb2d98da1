"""Checking raw trees: which dataset, what is missing, extra, damaged, duplicated."""

from __future__ import annotations

import pytest
from raw_trees import write_bosphorus, write_bu3dfe, write_pairs, wrl_bytes

from fer_prep.dataset_manifest import load_manifest
from fer_prep.errors import UsageError
from fer_prep.inspection.check_raw import check_raw_tree
from fer_prep.sources import SOURCES

NAMES = ("F0001_NE00WH", "F0001_AN01WH")


def finding(root, what, **options):
    (found,) = [finding for finding in check_raw_tree(root, **options).findings if finding.what == what]
    return found


@pytest.mark.parametrize(
    ("write", "names", "title"),
    [
        (write_bu3dfe, NAMES, "BU-3DFE"),
        (write_bosphorus, ("bs000_N_N_0",), "Bosphorus"),
        (write_pairs, ("M_010_1_anger",), "CalD3r"),
        (write_pairs, ("M_01_1_anger",), "MenD3s"),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_part_of_a_dataset_is_recognised_and_is_no_fault(tmp_path, write, names, title, deep):
    report = check_raw_tree(write(tmp_path, *names), deep=deep)
    assert not report.failed
    assert report.kind == "raw tree"
    assert report.findings[0].text.startswith(title)


@pytest.mark.parametrize("dataset", sorted(SOURCES))
def test_every_manifest_reads(dataset):
    manifest = load_manifest(dataset)
    assert manifest.dataset == dataset
    assert all(count.source for count in manifest.counts)


def test_the_manifest_knows_every_subject_and_recording():
    bu3dfe, bosphorus = load_manifest("bu3dfe"), load_manifest("bosphorus")
    assert len(bu3dfe.subjects) == 100
    assert {"F0001", "F0056", "M0044"} <= bu3dfe.subjects
    assert len(bu3dfe.subjects) * len(bu3dfe.expected.recordings) == 2500
    assert {"bs000", "bs104"} <= bosphorus.subjects
    assert len(bosphorus.subjects) == 105


@pytest.mark.parametrize(
    ("name", "people", "samples"), [("M_010_1_anger", 104, 4678), ("M_01_1_anger", 92, 4038)], ids=["CalD3r", "MenD3s"]
)
def test_the_numbers_of_whole_datasets_are_known(tmp_path, name, people, samples):
    report = check_raw_tree(write_pairs(tmp_path, name))
    said = [finding.text for finding in report.findings if finding.what == "counts"]
    assert said[0].startswith(f"1 of {people} subjects")
    assert said[1].startswith(f"1 of {samples} samples")


def test_what_is_missing_is_listed(tmp_path):
    root = write_bu3dfe(tmp_path, *NAMES)
    absent = finding(root, "missing subjects")
    assert len(absent.items) == 99
    gone = finding(root, "missing recordings")
    assert len(gone.items) == 23
    assert "F0001_AN02" in gone.items
    assert "F0001_AN01" not in gone.items


def test_incomplete_misnamed_duplicated_and_extra_files_are_told_apart(tmp_path):
    root = write_bu3dfe(tmp_path, *NAMES)
    write_bu3dfe(root / "copy", NAMES[0])
    (root / "F0001" / f"{NAMES[1]}_F3D.bnd").unlink()
    (root / "F0001" / "strange_F3D.wrl").write_bytes(wrl_bytes())
    (root / "F0001" / "notes.txt").write_text("x")
    report = check_raw_tree(root)
    assert report.failed
    by_what = {finding.what: finding for finding in report.findings}
    assert by_what["incomplete"].items[0].startswith(f"F0001/{NAMES[1]}_F3D.wrl")
    assert by_what["misnamed"].items == ("F0001/strange_F3D.wrl",)
    assert "F0001/notes.txt" in by_what["extra"].items
    assert NAMES[0] in by_what["duplicated"].items[0]
    assert {by_what[what].severity for what in ("incomplete", "misnamed", "duplicated")} == {"error"}
    assert by_what["extra"].severity == "note"


def test_an_unknown_subject_is_warned_of(tmp_path):
    assert finding(write_bosphorus(tmp_path, "bs200_N_N_0"), "extra subjects").items == ("bs200",)


def test_empty_files_are_found_without_reading(tmp_path):
    root = write_bosphorus(tmp_path, "bs000_N_N_0")
    (root / "bs000" / "bs000_N_N_0.png").write_bytes(b"")
    assert finding(root, "damaged").items == ("bs000/bs000_N_N_0.png",)


def test_damage_is_found_by_reading(tmp_path):
    root = write_bosphorus(tmp_path, "bs000_N_N_0", "bs000_YR_R20_0")
    path = root / "bs000" / "bs000_YR_R20_0.bnt"
    path.write_bytes(path.read_bytes()[:-1])
    assert not check_raw_tree(root).failed
    damaged = finding(root, "damaged", deep=True)
    assert damaged.severity == "error"
    assert damaged.items[0].startswith("bs000/bs000_YR_R20_0.bnt (expected ")


def test_a_recording_whose_parts_do_not_fit_is_found_by_loading(tmp_path):
    root = write_pairs(tmp_path, "M_010_1_anger", "F_001_1_fear")
    depth = root / "Fear" / "DEPTH" / "F_001_1_fear_Depth.png"
    from fer_prep.formats.images import read_depth, write_image

    depth.write_bytes(write_image(read_depth(depth.read_bytes())[:50]))
    unusable = finding(root, "unusable", deep=True)
    assert unusable.items[0].startswith("Fear/RGB/F_001_1_fear_Color.png")


def test_the_same_bytes_under_two_names_are_warned_of(tmp_path):
    root = write_pairs(tmp_path, "M_010_1_anger", "F_001_1_fear")
    copies = finding(root, "copies", deep=True)
    assert copies.severity == "warning"
    assert copies.items == ("Fear/RGB/F_001_1_fear_Color.png = Anger/RGB/M_010_1_anger_Color.png",)


def test_a_tree_of_no_or_several_datasets_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="of none"):
        check_raw_tree(tmp_path / "empty")
    write_bu3dfe(tmp_path / "BU3DFE", NAMES[0])
    write_pairs(tmp_path / "CalD3r", "M_010_1_anger")
    write_pairs(tmp_path / "MenD3s", "M_01_1_anger")
    with pytest.raises(UsageError, match="the trees of bu3dfe, cald3r, mend3s"):
        check_raw_tree(tmp_path)


def test_what_is_left_out_is_said_with_its_reasons(tmp_path):
    root = write_bosphorus(tmp_path / "bosphorus", "bs000_N_N_0", "bs000_YR_R20_0", "bs000_YR_L45_0", "bs000_O_EYE_0")
    assert finding(root, "left out").items == ("2 head turned (yaw)", "1 face occluded")
    root = write_pairs(tmp_path / "pairs", "M_010_1_anger")
    for path in list(root.rglob("*.png")):
        (path.parent / f"aligned_{path.name}").write_bytes(path.read_bytes())
    assert finding(root, "left out").items == ("2 an aligned_ copy; the recording itself is used",)


def test_packed_archives_are_named(tmp_path):
    (tmp_path / "F0001.rar").write_bytes(b"Rar!")
    with pytest.raises(UsageError, match="not yet unpacked"):
        check_raw_tree(tmp_path)
