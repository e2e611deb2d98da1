"""What is written is registered: landmark rows point at mesh vertices, (a, b) at the pixels of their points."""

from __future__ import annotations

import re
import struct

import cv2
import numpy as np
import pytest

from fer_prep.sample_data import bosphorus_tree, bu3dfe_tree
from fer_prep.sample_data.bosphorus_tree import CAMERA_DISTANCE_MM, PIXELS_PER_MM
from fer_prep.sample_data.camera import Camera
from fer_prep.sample_data.rgbd_tree import DEPTH_UNIT_MM, FOCAL_PX, PICTURE_PX, depth_picture
from fer_prep.sample_data.truth import truth_row


@pytest.fixture(scope="module")
def bu3dfe(tmp_path_factory, showing):
    base = tmp_path_factory.mktemp("bu3dfe") / "F0001_HA04WH"
    bu3dfe_tree.write_scan(base, showing(12, 25), bu3dfe_tree.STYLES[1], np.random.default_rng(0))
    return base


@pytest.fixture(scope="module")
def bosphorus(tmp_path_factory, showing):
    base = tmp_path_factory.mktemp("bosphorus") / "bs000_LFAU_12_0"
    head = showing(12)
    style = bosphorus_tree.STYLES[0]
    camera = bosphorus_tree.write_scan(base, head, head.points, style=style, rng=np.random.default_rng(0))
    return base, camera, head


def _wrl_block(text, name):
    return np.array(re.search(rf"{name}\s*\[([^\]]*)\]", text).group(1).replace(",", " ").split(), float)


def test_bnd_rows_point_at_mesh_vertices(bu3dfe):
    points = _wrl_block(bu3dfe.with_name(f"{bu3dfe.name}_F3D.wrl").read_text(), r"Coordinate \{\s*point").reshape(-1, 3)
    rows = np.loadtxt(bu3dfe.with_name(f"{bu3dfe.name}_F3D.bnd"))
    assert rows.shape == (83, 4)
    np.testing.assert_array_equal(points[rows[:, 0].astype(int)], rows[:, 1:])


def test_bnd_anchors_lie_where_the_dataset_documents_them(bu3dfe):
    xyz = np.loadtxt(bu3dfe.with_name(f"{bu3dfe.name}_F3D.bnd"))[:, 1:]
    left_inner, left_outer, right_inner, right_outer = xyz[[0, 4, 8, 12]]
    assert left_outer[0] > left_inner[0] > right_inner[0] > right_outer[0]
    corners, upper_lip, lower_lip, subnasale, chin = xyz[[48, 54]], xyz[51], xyz[57], xyz[42], xyz[75]
    assert subnasale[1] > upper_lip[1] > lower_lip[1] > chin[1]
    assert abs(chin[0]) < 6
    assert np.ptp(corners[:, 0]) > 40


def test_wrl_has_nineteen_lines_before_its_points_and_indices_within_range(bu3dfe):
    raw = bu3dfe.with_name(f"{bu3dfe.name}_F3D.wrl").read_bytes()
    lines = raw.decode("ascii").split("\r\n")
    assert lines[18].strip() == "point ["
    assert len(lines[19].replace(",", "").split()) == 3
    text = raw.decode("ascii")
    vertices = len(_wrl_block(text, r"Coordinate \{\s*point")) // 3
    faces, uv_faces = _wrl_block(text, "coordIndex"), _wrl_block(text, "texCoordIndex")
    texture_points = len(_wrl_block(text, r"TextureCoordinate \{\s*point")) // 2
    assert faces.max() == vertices - 1
    assert uv_faces.max() == texture_points - 1
    assert len(faces) == len(uv_faces)


def _read_bnt(path):
    raw = path.read_bytes()
    rows, columns, background, length = struct.unpack_from("<HHdH", raw)
    (count,) = struct.unpack_from("<I", raw, 14 + length)
    planes = np.frombuffer(raw, "<f8", count, 18 + length).reshape(5, rows, columns)
    assert len(raw) == 18 + length + 8 * 5 * rows * columns
    return raw[14 : 14 + length].decode(), planes, planes[2] > background


def test_bnt_colour_coordinates_are_the_pixels_of_the_points(bosphorus):
    base, camera, _ = bosphorus
    name, planes, valid = _read_bnt(base.with_suffix(".bnt"))
    x, y, z, a, b = planes[:, valid]
    height, width = cv2.imread(str(base.with_suffix(".png"))).shape[:2]
    assert name == f"{base.name}.png"
    assert (width, height) == camera.size
    scale = PIXELS_PER_MM * CAMERA_DISTANCE_MM / (CAMERA_DISTANCE_MM - z)
    np.testing.assert_allclose(a * width, camera.centre_px[0] + x * scale, atol=1e-6)
    np.testing.assert_allclose(b * height, camera.centre_px[1] - y * scale, atol=1e-6)


def test_bnt_starts_with_the_bottom_row_and_marks_background_in_all_planes(bosphorus):
    _, planes, valid = _read_bnt(bosphorus[0].with_suffix(".bnt"))
    row_y = np.array([planes[1, row][valid[row]].mean() for row in range(len(valid)) if valid[row].any()])
    assert (np.diff(row_y) > 0).all()
    assert (planes[:, ~valid] == -1e9).all()


def test_bnt_points_lie_on_the_face(bosphorus):
    _, planes, valid = _read_bnt(bosphorus[0].with_suffix(".bnt"))
    tip = bosphorus[2].points[bosphorus_tree.landmark_vertices()["Nose tip"]]
    distance = np.linalg.norm(planes[:3, valid].T - tip, axis=1)
    assert distance.min() < 1.0


def test_lm2_and_lm3_agree(bosphorus):
    base, camera, _ = bosphorus
    flat, solid = base.with_suffix(".lm2").read_text(), base.with_suffix(".lm3").read_text()
    labels = flat.split("Labels:\n")[1].split("\n\n")[0].splitlines()
    pixels = np.array([line.split() for line in flat.split("coordinates:\n")[1].splitlines()], float)
    pairs = solid.split("landmarks:\n")[1].splitlines()
    assert pairs[::2] == labels
    assert len(labels) == 22
    points = np.array([line.split() for line in pairs[1::2]], float)
    np.testing.assert_allclose(camera.project(points), pixels, atol=1e-3)


def test_a_hidden_landmark_is_left_out(tmp_path, person):
    from fer_prep.sample_data.head import Sitter

    head = Sitter(person).show((), hand_at=(0.0, -71.0, 30.0))
    style, rng = bosphorus_tree.STYLES[0], np.random.default_rng(0)
    bosphorus_tree.write_scan(tmp_path / "bs000_O_MOUTH_0", head, head.points, style=style, rng=rng)
    text = (tmp_path / "bs000_O_MOUTH_0.lm3").read_text()
    assert "Upper lip inner middle" not in text
    assert "Inner left eye corner" in text


def test_depth_pictures_hold_eighths_of_a_millimetre_and_zero_for_nothing(showing):
    head = showing()
    camera = Camera(distance_mm=600, focal_px=FOCAL_PX, centre_px=(112, 80), size=(PICTURE_PX, PICTURE_PX))
    depth = depth_picture(head, head.points, camera, np.random.default_rng(0))
    tip = head.points[bosphorus_tree.landmark_vertices()["Nose tip"]]
    x, y = np.floor(camera.project(tip[None])[0]).astype(int)
    around = depth[y - 2 : y + 3, x - 2 : x + 3].astype(float) * DEPTH_UNIT_MM
    assert abs(np.median(around[around > 0]) - (600 - tip[2])) < 2.0
    assert depth.dtype == np.uint16
    assert 0.02 < (depth == 0).mean() < 0.9


def test_truth_roll_is_positive_for_a_head_that_leans_clockwise(showing):
    from fer_prep.sample_data.camera import head_rotation

    head = showing()
    posed = head.points @ head_rotation(yaw_degrees=0, pitch_degrees=0, roll_degrees=20).T
    camera = Camera(distance_mm=1500, focal_px=1500, centre_px=(112, 112), size=(224, 224))
    row = truth_row(
        dataset="cald3r",
        sample="F_001_0_neutral",
        subject="F001",
        gender="F",
        emotion="neutral",
        code="0",
        actions=(),
        picture="",
        camera=camera,
        posed=posed,
    )
    assert row.left_eye_x > row.right_eye_x
    assert row.left_eye_y > row.right_eye_y
    assert row.roll_degrees == pytest.approx(20, abs=3)
