"""CalD3r and MenD3s: names from the right, pairs, folders, copies."""

from __future__ import annotations

import numpy as np
import pytest
from raw_trees import grey, write_pairs

from fer_prep.errors import FormatError, SampleError, UsageError
from fer_prep.formats.images import write_image
from fer_prep.sources.cald3r_mend3s import RgbdPairs, cald3r, mend3s

NAME = "M_010_1_anger"


def listed(root, **options):
    return cald3r(**options).list_samples(root)


def test_a_sample_says_who_and_how(tmp_path):
    (sample,) = listed(write_pairs(tmp_path, NAME)).samples
    assert (sample.id, sample.subject, sample.emotion) == (f"cald3r/{NAME}", "cald3r:M010", "anger")
    assert (sample.gender, sample.label_source, sample.intensity) == ("M", "elicited", 0)
    assert sample.source_file == f"Anger/RGB/{NAME}_Color.png"
    (other,) = mend3s().list_samples(write_pairs(tmp_path / "m", "F_07_00_sadness")).samples
    assert (other.id, other.subject) == ("mend3s/F_07_00_sadness", "mend3s:F07")


def test_the_code_may_hold_anything(tmp_path):
    root = write_pairs(tmp_path, "F_001_take_2_b_happiness")
    (sample,) = listed(root).samples
    assert (sample.subject, sample.emotion) == ("cald3r:F001", "happiness")


def test_padding_does_not_make_another_person(tmp_path):
    listing = listed(write_pairs(tmp_path, "M_010_1_anger", "M_10_2_anger"))
    assert {sample.subject for sample in listing.samples} == {"cald3r:M010"}
    assert any("is this the other dataset's tree" in text for text in listing.warnings)


def test_letters_may_be_in_any_case(tmp_path):
    root = write_pairs(tmp_path, NAME)
    for old, new in (("Anger/RGB", "Anger/rgb"), ("Anger/DEPTH", "Anger/Depth"), ("Anger", "ANGER")):
        (root / old).rename(root / new)
    folder = root / "ANGER" / "rgb"
    (folder / f"{NAME}_Color.png").rename(folder / "m_010_1_Anger_COLOR.PNG")
    (sample,) = listed(root).samples
    assert sample.id == f"cald3r/{NAME}"
    assert set(sample.files) == {"rgb", "depth"}


@pytest.mark.parametrize(("kind", "suffix", "lacking"), [("DEPTH", "Depth", "Depth"), ("RGB", "Color", "Color")])
def test_a_missing_half_is_named(tmp_path, kind, suffix, lacking):
    root = write_pairs(tmp_path, NAME, "F_001_1_fear")
    (root / "Anger" / kind / f"{NAME}_{suffix}.png").unlink()
    listing = listed(root)
    assert [sample.name for sample in listing.samples] == ["F_001_1_fear"]
    (row,) = listing.rejected
    assert row.sample_id == f"cald3r/{NAME}"
    assert row.expected == f"Anger/{kind}/{NAME}_{lacking}.png beside it"


def test_folder_and_name_must_agree_on_the_emotion(tmp_path):
    root = write_pairs(tmp_path, NAME, "F_001_1_fear")
    for kind, suffix in (("RGB", "Color"), ("DEPTH", "Depth")):
        (root / "Fear" / kind / f"{NAME}_{suffix}.png").write_bytes(write_image(grey()))
    listing = listed(root)
    (row,) = listing.rejected  # one recording, not one row a file
    assert row.source_file == f"Fear/RGB/{NAME}_Color.png"
    assert (row.expected, row.found) == ("the emotion of its folder, fear", "anger in the file name")
    assert len(listing.samples) == 2


@pytest.mark.parametrize(
    "name", ["M_010_1_boredom_Color.png", "M_010_anger.png", "X_010_1_anger_Color.png", "photo.png"]
)
def test_wrong_names_are_rejected_one_by_one(tmp_path, name):
    root = write_pairs(tmp_path, NAME)
    (root / "Anger" / "RGB" / name).write_bytes(write_image(grey()))
    listing = listed(root)
    assert len(listing.samples) == 1
    assert [row.source_file for row in listing.rejected] == [f"Anger/RGB/{name}"]


def test_aligned_copies_are_left_out_beside_their_recording(tmp_path):
    root = write_pairs(tmp_path, NAME)
    for kind, suffix in (("RGB", "Color"), ("DEPTH", "Depth")):
        original = root / "Anger" / kind / f"{NAME}_{suffix}.png"
        (original.parent / f"aligned_{original.name}").write_bytes(original.read_bytes())
    listing = listed(root)
    assert [sample.source_file for sample in listing.samples] == [f"Anger/RGB/{NAME}_Color.png"]
    assert len(listing.left_out) == 2
    for kind, suffix in (("RGB", "Color"), ("DEPTH", "Depth")):
        (root / "Anger" / kind / f"{NAME}_{suffix}.png").unlink()
    listing = listed(root)
    assert [sample.id for sample in listing.samples] == [f"cald3r/{NAME}"]
    assert any("only as aligned_ copies" in text for text in listing.warnings)


def test_kinds_may_be_the_outer_folders(tmp_path):
    root = write_pairs(tmp_path, NAME)
    for kind in ("RGB", "DEPTH"):
        (root / kind).mkdir()
        (root / "Anger" / kind).rename(root / kind / "Anger")
    (sample,) = listed(root).samples
    assert sample.source_file == f"RGB/Anger/{NAME}_Color.png"
    (root / "DEPTH" / "Anger" / f"{NAME}_Depth.png").unlink()
    assert listed(root).rejected[0].expected == f"DEPTH/Anger/{NAME}_Depth.png beside it"


def test_a_root_above_both_datasets_gives_each_its_own(tmp_path):
    write_pairs(tmp_path / "CalD3r", NAME)
    write_pairs(tmp_path / "MenD3s", "M_01_1_anger")
    assert [sample.id for sample in cald3r().list_samples(tmp_path).samples] == [f"cald3r/{NAME}"]
    assert [sample.id for sample in mend3s().list_samples(tmp_path).samples] == ["mend3s/M_01_1_anger"]
    with pytest.raises(UsageError):
        mend3s().list_samples(write_pairs(tmp_path / "other" / "CalD3r", NAME).parent)


def test_depth_is_metric_and_zero_is_no_data(tmp_path):
    root = write_pairs(tmp_path, NAME)
    for unit_mm in (0.125, 1.0):
        source = cald3r(depth_unit_mm=unit_mm)
        scene = source.load(source.list_samples(root).samples[0])
        frame = scene.view(np.eye(2, 3), size=120)
        assert not frame.valid[:9].any()
        np.testing.assert_allclose(frame.z_mm[60, 60], -4000 * unit_mm)


def test_folders_of_one_kind_that_differ_in_case_hold_a_recording_twice(tmp_path):
    root = write_pairs(tmp_path, NAME)
    copy = root / "Anger" / "rgb" / f"{NAME}_Color.png"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(write_image(grey()))
    if len(list((root / "Anger").iterdir())) < 3:
        pytest.skip("this file system does not tell the case of letters apart")
    (row,) = listed(root).rejected
    assert row.found == f"Anger/RGB/{NAME}_Color.png (kept) and Anger/rgb/{NAME}_Color.png"


def depth_file(root):
    return root / "Anger" / "DEPTH" / f"{NAME}_Depth.png"


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (np.full((10, 10), 9, np.uint16), "found 10 × 10"),
        (np.zeros((160, 120), np.uint16), "no data in any pixel"),
        (np.full((160, 120), 1, np.uint16), "the value 1 in every pixel"),
        (np.full((160, 120), 65535, np.uint16), "the value 65535 in every pixel"),
        (np.full((160, 120), 9, np.uint8), "8-bit single-channel PNG"),
    ],
)
def test_depth_that_cannot_be_used_is_refused_by_name(tmp_path, pixels, found):
    root = write_pairs(tmp_path, NAME)
    depth_file(root).write_bytes(write_image(pixels))
    with pytest.raises((SampleError, FormatError), match=found) as caught:
        cald3r().load(listed(root).samples[0])
    assert caught.value.path == depth_file(root)


@pytest.mark.parametrize("options", [{"depth_unit_mm": 0}, {"depth_unit_mm": float("nan")}, {"dataset": "other"}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        RgbdPairs(**options)
