"""BU-3DFE: names, what is missing, landmarks, and the two ways to colour."""

from __future__ import annotations

import numpy as np
import pytest
from raw_trees import bnd_bytes, grey, write_bu3dfe, wrl_bytes

from fer_prep.engines.choice import make_engine
from fer_prep.errors import FormatError, SampleError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.formats.images import write_image
from fer_prep.formats.vrml import read_vrml
from fer_prep.landmark_names import EYE_CORNERS, MOUTH_LEFT, MOUTH_RIGHT, NOSE_TIP, eye_centres
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sources.bu3dfe import Bu3dfe
from fer_prep.sources.landmark_sides import SIDES_EXCHANGED

NAME = "F0001_AN01WH"


@pytest.fixture
def folder(tmp_path):
    """The folder of one subject with one whole recording."""
    return write_bu3dfe(tmp_path, NAME) / "F0001"


def listed(root, **options):
    return Bu3dfe(**options).list_samples(root)


def only(root, **options):
    (sample,) = listed(root, **options).samples
    return sample


def test_a_sample_says_who_and_how(folder):
    sample = only(folder.parent)
    assert (sample.id, sample.subject, sample.emotion) == (f"bu3dfe/{NAME}", "bu3dfe:F0001", "anger")
    assert (sample.gender, sample.ethnicity, sample.intensity, sample.label_source) == ("F", "White", 1, "posed")
    assert sample.source_file == f"F0001/{NAME}_F3D.wrl"
    assert set(sample.files) == {"mesh", "landmarks", "texture", "photo"}


def test_names_may_be_in_any_case(folder):
    for path in sorted(folder.iterdir()):
        path.rename(folder / path.name.swapcase())
    sample = only(folder.parent)
    assert sample.id == f"bu3dfe/{NAME}"
    assert sample.gender == "F"
    assert len(sample.files) == 4


def test_re_encoded_pictures_are_taken_where_there_is_no_original(folder):
    (folder / f"{NAME}_F2D.png").write_bytes(write_image(grey()))
    assert only(folder.parent).files["photo"].suffix == ".bmp"
    (folder / f"{NAME}_F2D.bmp").unlink()
    assert only(folder.parent).files["photo"].suffix == ".png"


def test_without_a_raw_mesh_there_is_none_to_show(folder):
    (row,) = listed(folder.parent, mesh="raw").rejected
    assert row.expected == f"F0001/{NAME}_RAW.wrl"


def test_raw_meshes_are_not_samples(folder):
    (folder / f"{NAME}_RAW.wrl").write_bytes(wrl_bytes())
    (folder / f"{NAME}_RAW.pse").write_bytes(b"?")
    listing = listed(folder.parent)
    assert len(listing.samples) == 1
    assert not listing.rejected


def test_a_recording_of_which_only_the_raw_mesh_is_there_does_not_vanish(folder):
    (folder / "F0001_DI01WH_RAW.wrl").write_bytes(wrl_bytes())
    listing = listed(folder.parent)
    (row,) = listing.rejected
    assert (row.source_file, row.sample_id) == ("F0001/F0001_DI01WH_RAW.wrl", "bu3dfe/F0001_DI01WH")
    assert row.expected.startswith("F0001/F0001_DI01WH_F3D.wrl")


@pytest.mark.parametrize(
    ("suffix", "expected"), [("F3D.wrl", f"F0001/{NAME}_F3D.wrl"), ("F3D.bnd", f"F0001/{NAME}_F3D.bnd")]
)
def test_a_missing_file_is_named(folder, suffix, expected):
    (folder / f"{NAME}_{suffix}").unlink()
    listing = listed(folder.parent, incomplete="reject")
    assert not listing.samples
    (row,) = listing.rejected
    assert (row.sample_id, row.stage, row.expected, row.found) == (f"bu3dfe/{NAME}", "list", expected, "no such file")


def test_without_any_picture_a_recording_is_rejected(folder):
    (folder / f"{NAME}_F3D.bmp").unlink()
    assert only(folder.parent)
    (folder / f"{NAME}_F2D.bmp").unlink()
    (row,) = listed(folder.parent).rejected
    assert row.expected == f"F0001/{NAME}_F3D.bmp or F0001/{NAME}_F2D.bmp"


def test_landmarks_may_be_done_without(folder):
    (folder / f"{NAME}_F3D.bnd").unlink()
    assert not scene_of(folder.parent).landmarks
    (warning,) = listed(folder.parent).warnings
    assert warning.startswith("1 recording(s) lack landmark files")
    assert f"F0001/{NAME}_F3D.wrl" in warning


@pytest.mark.parametrize(
    "name", ["F0001_XX01WH_F3D.wrl", "F0001_AN05WH_F3D.wrl", "F001_AN01WH_F3D.wrl", "copy of F0001_AN01WH_F3D.bmp"]
)
def test_wrong_names_are_rejected_one_by_one(folder, name):
    (folder / name).write_bytes(wrl_bytes())
    listing = listed(folder.parent)
    assert len(listing.samples) == 1
    (row,) = listing.rejected
    assert (row.source_file, row.found) == (f"F0001/{name}", name)


@pytest.mark.parametrize("name", ["F0002_NE01WH", "F0002_AN00WH"])
def test_intensity_00_is_for_neutral_faces_and_only_for_them(tmp_path, name):
    listing = listed(write_bu3dfe(tmp_path, name))
    assert not listing.samples
    assert listing.rejected[0].found == name[6:10]


def test_the_same_name_twice_is_said_with_both_places(folder):
    write_bu3dfe(folder.parent / "backup", NAME)
    listing = listed(folder.parent)
    assert only(folder.parent).source_file == f"F0001/{NAME}_F3D.wrl"
    (row,) = listing.rejected
    assert f"F0001/{NAME}_F3D.wrl" in row.found
    assert f"backup/F0001/{NAME}_F3D.wrl" in row.found


def test_unknown_and_inconsistent_ancestry_are_warned_of(tmp_path):
    listing = listed(write_bu3dfe(tmp_path, "F0001_AN01WH", "F0001_DI01ZZ"))
    assert [sample.ethnicity for sample in listing.samples] == ["White", "ZZ"]
    assert "unknown ancestry codes in file names, kept as they are: ZZ" in listing.warnings


def test_a_file_in_another_subjects_folder_counts_by_its_name(folder):
    write_bu3dfe(folder.parent / "tmp", "M0002_SA03BL")
    (folder.parent / "tmp" / "M0002").rename(folder.parent / "M0003")
    listing = listed(folder.parent)
    assert [sample.subject for sample in listing.samples] == ["bu3dfe:F0001", "bu3dfe:M0002"]
    assert any("another subject's folder" in text for text in listing.warnings)


def scene_of(root, **options):
    return Bu3dfe(**options).load(only(root, **options))


def test_landmarks_are_the_subjects_left_and_right(folder):
    points = scene_of(folder.parent).landmarks
    assert set(EYE_CORNERS) <= set(points)
    left, right = eye_centres(points)
    assert left[0] > right[0], "the subject's left is on the picture's right"
    assert points[MOUTH_LEFT][0] > points[MOUTH_RIGHT][0]
    assert points["left_eye_outer"][0] > points["left_eye_inner"][0]
    assert left[1] < points[NOSE_TIP][1] < points[MOUTH_LEFT][1]


def test_sides_named_from_the_viewer_are_exchanged(folder):
    right_way = scene_of(folder.parent).landmarks
    (folder / f"{NAME}_F3D.bnd").write_bytes(bnd_bytes(mirrored=True))
    scene = scene_of(folder.parent)
    assert scene.set_right == SIDES_EXCHANGED
    mirrored = scene.landmarks
    for name in EYE_CORNERS:
        np.testing.assert_allclose(mirrored[name], right_way[name], atol=10)


@pytest.mark.parametrize(
    "data", [bnd_bytes(first=1), bnd_bytes(shift_mm=500)], ids=["counting from 1", "another frame"]
)
def test_rows_may_count_from_1_and_the_mesh_may_have_been_moved(folder, data):
    right_way = scene_of(folder.parent).landmarks
    (folder / f"{NAME}_F3D.bnd").write_bytes(data)
    landmarks = scene_of(folder.parent).landmarks
    for name in EYE_CORNERS:
        np.testing.assert_allclose(landmarks[name], right_way[name], atol=0.1)


@pytest.mark.parametrize(
    ("data", "shift_mm"),
    [(bnd_bytes(), 0), (bnd_bytes(first=1), 0), (bnd_bytes(shift_mm=500), 500)],
    ids=["plain", "from 1", "another frame"],
)
def test_all_83_points_have_millimetres_pixels_and_a_vertex(folder, data, shift_mm):
    (folder / f"{NAME}_F3D.bnd").write_bytes(data)
    scene = scene_of(folder.parent)
    points = scene.schemes["bu3dfe-83"]
    mesh = read_vrml((folder / f"{NAME}_F3D.wrl").read_bytes())
    assert len(points.names) == 83
    np.testing.assert_allclose(points.points_mm, mesh.vertices[points.vertex] + [shift_mm, 0, 0], atol=1e-3)
    np.testing.assert_allclose(points.points_px, scene.project(points.points_mm))
    # row 4 is the outer corner of the left eye
    np.testing.assert_allclose(points.points_px[4], scene.landmarks["left_eye_outer"])


def test_landmarks_of_another_mesh_are_refused(folder):
    scattered = b"\n".join(b"%d %d %d 300" % (n, 7 * n % 50, 3 * n % 40) for n in range(83))
    (folder / f"{NAME}_F3D.bnd").write_bytes(scattered)
    with pytest.raises(SampleError, match="landmarks of the mesh beside them") as caught:
        scene_of(folder.parent)
    assert caught.value.path == folder / f"{NAME}_F3D.bnd"


@pytest.mark.parametrize(
    ("first", "found"), [(1000, "numbers of the mesh's 289 vertices; found 1[0-9]{3} in row 1"), (7, "mm of the vert")]
)
def test_vertex_numbers_that_do_not_belong_to_their_coordinates_are_refused(folder, first, found):
    (folder / f"{NAME}_F3D.bnd").write_bytes(bnd_bytes(first=first))
    with pytest.raises(SampleError, match=found) as caught:
        scene_of(folder.parent)
    assert caught.value.path == folder / f"{NAME}_F3D.bnd"


def test_fewer_than_83_landmarks_are_refused(folder):
    (folder / f"{NAME}_F3D.bnd").write_bytes(bnd_bytes(rows=82))
    with pytest.raises(SampleError, match="expected 83 landmarks; found 82"):
        scene_of(folder.parent)


def test_a_mesh_in_another_unit_is_refused(folder):
    metres = wrl_bytes().replace(b"point [", b"point [ 0.01 0.01 0.01,", 1)
    small = b"\n".join(
        b" ".join(b"%.6f" % (float(word) / 1000) for word in line.rstrip(b",").split()) + b","
        if len(line.split()) == 3 and line[:1] in b"-0123456789"
        else line
        for line in metres.splitlines()
    )
    (folder / f"{NAME}_F3D.wrl").write_bytes(small)
    with pytest.raises(SampleError, match="a face mesh of 50 to 1000 mm"):
        scene_of(folder.parent)


def test_a_damaged_texture_is_refused_and_not_replaced(folder):
    (folder / f"{NAME}_F3D.bmp").write_bytes(write_image(grey(), kind="bmp")[:500])
    with pytest.raises(FormatError) as caught:
        scene_of(folder.parent)
    assert caught.value.path == folder / f"{NAME}_F3D.bmp"


def test_texture_is_the_default_and_stands_in_for_a_missing_photograph(folder):
    (folder / f"{NAME}_F2D.bmp").unlink()
    assert scene_of(folder.parent).rgb_source == "texture"
    assert scene_of(folder.parent, rgb="photo").rgb_source == "texture"


def test_without_texture_coordinates_the_photograph_is_asked(folder):
    """The grey picture holds no face, so the photograph's own error shows that it was taken."""
    (folder / f"{NAME}_F3D.wrl").write_bytes(wrl_bytes(textured=False))
    with pytest.raises(SampleError, match="a face in the photograph"):
        scene_of(folder.parent)
    (folder / f"{NAME}_F2D.bmp").unlink()
    with pytest.raises(SampleError, match="found neither"):
        scene_of(folder.parent)


def test_a_texture_too_small_to_show_a_face_gives_way_to_the_photograph(folder):
    (folder / f"{NAME}_F3D.bmp").write_bytes(write_image(grey(1, 1), kind="bmp"))
    with pytest.raises(SampleError, match="a face in the photograph"):  # there is none in the grey picture
        scene_of(folder.parent)
    (folder / f"{NAME}_F2D.bmp").unlink()
    with pytest.raises(SampleError, match="a texture of at least 8 × 8 pixels; found 1 × 1") as caught:
        scene_of(folder.parent)
    assert caught.value.path == folder / f"{NAME}_F3D.bmp"


def test_the_photograph_does_not_ask_for_an_undamaged_texture(folder):
    (folder / f"{NAME}_F3D.bmp").write_bytes(b"no picture")
    with pytest.raises(SampleError, match="a face in the photograph"):
        scene_of(folder.parent, rgb="photo")


def test_what_a_mesh_file_has_beside_the_mesh_is_left_out_and_said(folder, tmp_path):
    (folder / f"{NAME}_F3D.wrl").write_bytes(wrl_bytes() + b"Shape { geometry Box { } }")
    settings = PrepareSettings(size=32, landmarks=FinderSpec(kinds=("dataset",)), mesh=False)
    summary = prepare(
        Bu3dfe(), root=folder.parent, out=tmp_path / "out", settings=settings, engine=make_engine(workers=0)
    )
    assert len(summary.rows) == 1
    assert summary.set_right == {"shown without Box": [f"bu3dfe/{NAME}"]}
    assert f"1 recording(s) shown without Box: bu3dfe/{NAME}" in summary.notes
