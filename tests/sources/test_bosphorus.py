"""Bosphorus: names, policy, missing files, picture direction, landmark sides."""

from __future__ import annotations

import numpy as np
import pytest
from raw_trees import bnt_bytes, grey, lm2_bytes, lm3_bytes, write_bosphorus

from fer_prep.errors import SampleError, UsageError
from fer_prep.formats.images import write_image
from fer_prep.landmark_names import eye_centres
from fer_prep.sources.bosphorus import Bosphorus
from fer_prep.sources.landmark_sides import SIDES_EXCHANGED

SCAN = "bs000_N_N_0"


def listed(root, **options):
    return Bosphorus(**options).list_samples(root)


def test_neutrals_emotions_and_mapped_units_become_samples(tmp_path):
    names = ["bs000_N_N_0", "bs000_N_N_3", "bs000_E_HAPPY_0", "bs000_E_HAPPY_1", "bs001_LFAU_24_0", "bs001_UFAU_1_0"]
    listing = listed(write_bosphorus(tmp_path, *names))
    found = {sample.name: (sample.emotion, sample.label_source, sample.action_unit) for sample in listing.samples}
    assert found == {
        "bs000_N_N_0": ("neutral", "posed", ""),
        "bs000_N_N_3": ("neutral", "posed", ""),
        "bs000_E_HAPPY_0": ("happiness", "posed", ""),
        "bs000_E_HAPPY_1": ("happiness", "posed", ""),
        "bs001_LFAU_24_0": ("anger", "action-unit", "LFAU_24"),
        "bs001_UFAU_1_0": ("fear", "action-unit", "UFAU_1"),
    }
    assert listing.samples[0].subject == "bosphorus:bs000"
    assert listing.samples[0].gender == ""


def test_the_rest_is_left_out_with_its_reason(tmp_path):
    reasons = {
        "bs000_LFAU_12L_0": "no rule of thesis-3.8 for LFAU_12L",
        "bs000_LFAU_12LW_0": "no rule of thesis-3.8 for LFAU_12LW",
        "bs000_LFAU_27_0": "(mouth stretch)",
        "bs000_CAU_A12A15_0": "no rule",
        "bs000_CAU_A26_A12LW_0": "no rule",
        "bs000_YR_R20_0": "head turned (yaw)",
        "bs000_PR_SD_0": "head tilted",
        "bs000_CR_RD_0": "head turned and tilted",
        "bs000_O_GLASSES_0": "face occluded",
        "bs000_IGN_X_0": "to be ignored",
    }
    listing = listed(write_bosphorus(tmp_path, "bs000_N_N_0", *reasons))
    assert [sample.name for sample in listing.samples] == ["bs000_N_N_0"]
    assert not listing.rejected
    found = {row.sample_id.removeprefix("bosphorus/"): row.found for row in listing.left_out}
    assert set(found) == set(reasons)
    assert all(reason in found[name] for name, reason in reasons.items())
    assert {row.stage for row in listing.left_out} == {"policy"}


def test_another_policy_gives_other_samples(tmp_path):
    root = write_bosphorus(tmp_path, "bs000_LFAU_10_0", "bs000_LFAU_24_0")
    strict = listed(root, policy="ck-emfacs-strict")
    assert {sample.name: sample.emotion for sample in strict.samples} == {"bs000_LFAU_10_0": "disgust"}
    assert Bosphorus(policy="ck-emfacs-strict").settings() != Bosphorus().settings()


def test_an_unknown_policy_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"known: ck-emfacs-strict, thesis-3\.8, weak-labels"):
        listed(write_bosphorus(tmp_path, SCAN), policy="nope")


def test_names_may_be_in_any_case(tmp_path):
    folder = write_bosphorus(tmp_path, "bs000_E_HAPPY_0") / "bs000"
    for path in sorted(folder.iterdir()):
        path.rename(folder / path.name.upper())
    (sample,) = listed(tmp_path).samples
    assert (sample.id, sample.subject) == ("bosphorus/bs000_E_HAPPY_0", "bosphorus:bs000")


@pytest.mark.parametrize("suffix", ["bnt", "png", "lm2", "lm3"])
def test_a_missing_file_is_named(tmp_path, suffix):
    (write_bosphorus(tmp_path, SCAN, "bs000_E_FEAR_0") / "bs000" / f"{SCAN}.{suffix}").unlink()
    listing = listed(tmp_path, incomplete="reject")
    assert [sample.name for sample in listing.samples] == ["bs000_E_FEAR_0"]
    (row,) = listing.rejected
    assert (row.sample_id, row.expected) == (f"bosphorus/{SCAN}", f"bs000/{SCAN}.{suffix}")


def test_landmark_files_may_be_done_without(tmp_path):
    folder = write_bosphorus(tmp_path, SCAN) / "bs000"
    (folder / f"{SCAN}.lm2").unlink()
    (folder / f"{SCAN}.lm3").unlink()
    listing = listed(tmp_path)
    assert not Bosphorus().load(listing.samples[0]).landmarks
    (warning,) = listing.warnings
    assert warning.startswith("1 recording(s) lack landmark files")
    assert f"bs000/{SCAN}.bnt" in warning


@pytest.mark.parametrize(
    "name", ["bs000_E_CONTEMPT_0.png", "bs000_N_N.png", "bs000_N_N_0_trim.bnt", "bs00_N_N_0.png", "bs000_XX_1_0.png"]
)
def test_wrong_names_are_rejected_one_by_one(tmp_path, name):
    (write_bosphorus(tmp_path, SCAN) / "bs000" / name).write_bytes(write_image(grey()))
    listing = listed(tmp_path)
    assert len(listing.samples) == 1
    assert [row.source_file for row in listing.rejected] == [f"bs000/{name}"]


def test_the_distributions_own_pictures_are_no_scans(tmp_path):
    (write_bosphorus(tmp_path, SCAN) / "__images__").mkdir()
    (tmp_path / "__images__" / "logo.png").write_bytes(write_image(grey()))
    assert not listed(tmp_path).rejected


def scene_of(root):
    source = Bosphorus()
    (sample,) = source.list_samples(root).samples
    return source.load(sample)


def wedge() -> np.ndarray:
    """A picture that is dark at the top and bright at the bottom."""
    return np.ascontiguousarray(
        np.repeat(np.linspace(20, 220, 160).astype(np.uint8)[:, None, None], 120, 1).repeat(3, 2)
    )


@pytest.mark.parametrize("landmarks", [True, False], ids=["by landmarks", "by the scan"])
@pytest.mark.parametrize("upside_down", [False, True])
def test_the_direction_of_picture_coordinates_is_found_out(tmp_path, landmarks, upside_down):
    folder = write_bosphorus(tmp_path, SCAN) / "bs000"
    (folder / f"{SCAN}.bnt").write_bytes(bnt_bytes(upside_down=upside_down))
    (folder / f"{SCAN}.png").write_bytes(write_image(wedge()))
    if not landmarks:
        (folder / f"{SCAN}.lm2").write_bytes(b"0 Landmarks\nLabels:\n2D Image coordinates:\n")
    picture = scene_of(tmp_path).picture().mean(axis=(1, 2))
    assert picture[100] < picture[400], "dark above bright, as in the file"


def test_landmark_files_of_another_picture_are_refused(tmp_path):
    folder = write_bosphorus(tmp_path, SCAN) / "bs000"
    (folder / f"{SCAN}.lm2").write_bytes(lm2_bytes().replace(b".0 ", b".0 9"))
    with pytest.raises(SampleError, match="pixels apart in a picture of 120 × 160") as caught:
        scene_of(tmp_path)
    assert caught.value.path == folder / f"{SCAN}.lm2"


def test_one_damaged_coordinate_neither_refuses_nor_stretches_a_scan(tmp_path):
    root = write_bosphorus(tmp_path, SCAN)
    coarse = np.array([[0.125, 0, 0], [0, 0.125, 0]])
    whole = scene_of(root).view(coarse, size=64)
    path = root / "bs000" / f"{SCAN}.bnt"
    data = bytearray(path.read_bytes())
    planes = np.frombuffer(data, "<f8", offset=len(data) - 8 * 5 * 33 * 33).reshape(5, 33, 33)
    planes[0, 16, 16] = 9000.0
    path.write_bytes(data)
    mended = scene_of(root).view(coarse, size=64)
    assert mended.mm_per_pixel == whole.mm_per_pixel
    assert not (mended.valid & ~whole.valid).any()
    assert 0 < np.count_nonzero(whole.valid & ~mended.valid) < 30  # the hole: nodes are too far apart here to fill it
    np.testing.assert_array_equal(mended.z_mm[mended.valid], whole.z_mm[mended.valid])


def test_a_strip_of_a_scan_is_refused(tmp_path):
    root = write_bosphorus(tmp_path, SCAN)
    path = root / "bs000" / f"{SCAN}.bnt"
    data = bytearray(path.read_bytes())
    planes = np.frombuffer(data, "<f8", offset=len(data) - 8 * 5 * 33 * 33).reshape(5, 33, 33)
    planes[:, :, 2:] = -1e9
    path.write_bytes(data)
    with pytest.raises(
        SampleError, match=r"a face scan of 50 to 1000 mm in width and height; found 4\.688 × 140\.6"
    ) as caught:
        scene_of(root)
    assert caught.value.path == path


@pytest.mark.parametrize("mirrored", [False, True])
def test_left_is_the_subjects_whatever_the_file_calls_it(tmp_path, mirrored):
    folder = write_bosphorus(tmp_path, SCAN) / "bs000"
    (folder / f"{SCAN}.lm2").write_bytes(lm2_bytes(mirrored=mirrored))
    (folder / f"{SCAN}.lm3").write_bytes(lm3_bytes(mirrored=mirrored))
    scene = scene_of(tmp_path)
    assert scene.set_right == (SIDES_EXCHANGED if mirrored else {})
    left, right = eye_centres(scene.landmarks)
    assert left[0] > right[0]
    np.testing.assert_allclose(left[1], right[1], atol=1e-6)


def test_what_lm3_lacks_is_taken_from_lm2(tmp_path):
    folder = write_bosphorus(tmp_path, SCAN) / "bs000"
    complete = scene_of(tmp_path).landmarks
    (folder / f"{SCAN}.lm3").write_bytes(lm3_bytes(without=("Outer left eye corner",)))
    patched = scene_of(tmp_path).landmarks
    np.testing.assert_allclose(patched["left_eye_outer"], complete["left_eye_outer"], atol=2)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_landmarks_are_known_by_label_on_the_scan_and_in_the_view(tmp_path, mirrored):
    folder = write_bosphorus(tmp_path, SCAN) / "bs000"
    (folder / f"{SCAN}.lm3").write_bytes(lm3_bytes(mirrored=mirrored, without=("Nose tip",)))
    (folder / f"{SCAN}.lm2").write_bytes(lm2_bytes(mirrored=mirrored))
    scene = Bosphorus().load(listed(tmp_path).samples[0])
    points = scene.schemes["bosphorus-24"]
    assert len(points.names) == len(set(points.names)) == 24
    at = {name: row for row, name in enumerate(points.names)}
    corner = points.points_mm[at["outer left eye corner"]]
    np.testing.assert_allclose(corner[:2], (45, 30))  # the subject's left is on the right of the picture
    np.testing.assert_allclose(points.points_px[at["outer left eye corner"]], scene.project(corner[None])[0])
    # the nose tip is known in the picture alone, the ear lobes nowhere
    assert np.isnan(points.points_mm[at["nose tip"]]).all()
    on_bowl = scene.project(np.array([[0.0, 0.0, 60.0]]))[0]
    np.testing.assert_allclose(points.points_px[at["nose tip"]], on_bowl, atol=0.5)
    assert np.isnan(points.points_px[at["ear lobe left"]]).all()


def test_facs_scores_are_used_where_they_are(tmp_path):
    root = write_bosphorus(tmp_path, "bs000_UFAU_1_0", "bs000_LFAU_26_0", "bs000_LFAU_15_0", "bs000_UFAU_4_0")
    (root / "facscodes").mkdir()
    (root / "facscodes" / "scores.csv").write_text(
        "scan,codes\nbs000_UFAU_1_0,1C,2B,4D\nbs000_LFAU_26_0,1B,2B,26C\nbs000_LFAU_15_0,L15C\n"
    )
    (root / "facscodes" / "bs000_UFAU_4_0.txt").write_text("23D\n24B\n")
    listing = listed(root, policy="ck-emfacs-strict")
    assert {sample.name: sample.emotion for sample in listing.samples} == {
        "bs000_UFAU_1_0": "fear",
        "bs000_LFAU_26_0": "surprise",
        "bs000_UFAU_4_0": "anger",
    }


def test_facs_scores_that_cannot_be_read_are_reported(tmp_path):
    root = write_bosphorus(tmp_path, SCAN)
    (root / "facscodes.txt").write_text("a table of another kind\n")
    (root / "facscodes.zip").write_bytes(b"PK")
    warnings = listed(root).warnings
    assert any("facscodes.txt" in text and "a table of another kind" in text for text in warnings)
    assert any("facscodes.zip is not unpacked" in text for text in warnings)


@pytest.mark.parametrize(
    ("name", "warned"),
    [("bs000_N_N_0.png", False), ("C:\\scans\\BS000_N_N_0.PNG", False), ("", False), ("bs000_E_FEAR_0.png", True)],
)
def test_a_grid_that_names_another_picture_is_told_of_and_used(tmp_path, name, warned):
    root = write_bosphorus(tmp_path, SCAN)
    (root / "bs000" / f"{SCAN}.bnt").write_bytes(bnt_bytes(name=name))
    assert ("whose grid names" in scene_of(root).set_right) == warned
