"""Faces in space leave a dataset as files that other programs read: the same points, colours and landmarks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import trimesh
from dataset_factories import make_landmarks, make_rows, write_dataset
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.geometry.attribute_maps import MAPS

ROWS = make_rows({"bu3dfe": 2}, emotions=("anger", "fear", "neutral"))
NAN = float("nan")
NO_CAMERA = {"mm_per_pixel": NAN, "origin_mm": (NAN, NAN)}


def export(data: Path, to: str, *, code: int = 0) -> tuple[Path, str]:
    done = CliRunner().invoke(app, ["export", str(data), "--to", to, "--out", str(data.parent / to)])
    assert done.exit_code == code, (done.output, done.exception)
    return data.parent / to, " ".join(done.output.split())


@pytest.fixture
def dataset(tmp_path):
    landmarks = {"bu3dfe-83": make_landmarks(len(ROWS))}
    return write_dataset(tmp_path / "global.h5", ROWS, landmarks=landmarks)


def expected(path: Path, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 3) and colours (V, 3) by the formula of the format's page."""
    with DatasetFile.open(path) as data:
        depth, rgb = data.read("depth", [row])[0], data.read("rgb", [row])[0]
        rows, columns = np.nonzero(depth)
        m, (x0, y0) = data.column("mm_per_pixel")[row], data.column("origin_mm")[row]
        phi = np.radians(data.column("roll_degrees")[row])
        z = data.column("depth_offset_mm")[row] - (depth[rows, columns] - 1.0) * data.depth_unit_mm
        x = x0 + m * (columns * np.cos(phi) - rows * np.sin(phi))
        y = y0 - m * (columns * np.sin(phi) + rows * np.cos(phi))
        return np.stack([x, y, z], axis=1), rgb[rows, columns]


def name_of(row: int) -> str:
    return ROWS[row]["id"].replace("/", "_")


def test_points_are_read_back_with_their_colours_by_trimesh_and_open3d(dataset):
    import open3d

    folder, _ = export(dataset, "ply")
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name_of(row)}.ply" for row in range(len(ROWS))), "landmarks.csv"]
    )
    points, colours = expected(dataset, 3)
    cloud = trimesh.load(folder / f"{name_of(3)}.ply")
    np.testing.assert_allclose(cloud.vertices, points, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(cloud.colors)[:, :3], colours)
    other = open3d.io.read_point_cloud(str(folder / f"{name_of(3)}.ply"))
    np.testing.assert_allclose(np.asarray(other.points), points, atol=1e-4)
    np.testing.assert_allclose(np.asarray(other.colors), colours / 255, atol=1e-6)


def test_a_mesh_has_the_picture_as_its_texture_and_the_landmarks_beside_it(dataset):
    folder, _ = export(dataset, "glb")
    scene = trimesh.load(folder / f"{name_of(2)}.glb")
    points, colours = expected(dataset, 2)
    face = scene.geometry["face"]
    np.testing.assert_allclose(face.vertices, points, atol=1e-4)
    np.testing.assert_array_equal(face.visual.to_color().vertex_colors[:, :3], colours)
    with DatasetFile.open(dataset) as data:
        landmarks = data.landmarks("bu3dfe-83").points_mm[2]
    np.testing.assert_allclose(scene.geometry["bu3dfe-83"].vertices, landmarks, atol=1e-4)


def test_a_smooth_face_is_one_surface_that_faces_the_viewer(tmp_path):
    import fer_prep.geometry.stored_camera as stored
    from fer_prep.geometry.range_grid import triangulate

    depth = np.full((20, 20), 500, np.uint16)
    depth[5:8, 5:8] = 0
    camera = stored.StoredCamera.parallel(6.3, middle=np.array([10.0, 9]), depth_offset_mm=0)
    points = camera.points_mm(depth, unit_mm=0.01)
    a, b, c = (points.reshape(-1, 3)[corner] for corner in triangulate(points, depth > 0).T)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_arrays_are_read_by_numpy_alone(dataset):
    folder, _ = export(dataset, "npz")
    points, colours = expected(dataset, 1)
    with np.load(folder / f"{name_of(1)}.npz") as arrays:
        np.testing.assert_allclose(arrays["points_mm"], points, atol=1e-4)
        np.testing.assert_array_equal(arrays["colours"], colours)
        assert arrays["faces"].max() < len(points)
        assert arrays["landmarks/bu3dfe-83/names"].tolist() == ["chin", "nose"]
        assert arrays["landmarks/bu3dfe-83"].shape == (2, 3)
        names = {name for name in arrays if name.startswith("maps/")}
        assert names == {f"maps/{name}" for name in (*MAPS, "hha")}
        for name in names:
            assert arrays[name].dtype == np.float32
            assert np.isfinite(arrays[name]).reshape(32 * 32, -1).all(axis=1).sum() == len(points)


def test_landmarks_are_one_table(dataset):
    folder, _ = export(dataset, "ply")
    lines = list(csv.DictReader((folder / "landmarks.csv").open()))
    with DatasetFile.open(dataset) as data:
        points = data.landmarks("bu3dfe-83").points_mm
    known = np.isfinite(points).all(axis=2)
    assert len(lines) == known.sum() > 0
    np.testing.assert_allclose([float(line["z_mm"]) for line in lines], points[known][:, 2], atol=1e-4)


def test_a_camera_that_is_not_known_is_estimated_and_that_is_said(tmp_path):
    data = write_dataset(tmp_path / "global.h5", [{**row, **NO_CAMERA} for row in ROWS])
    folder, said = export(data, "npz")
    assert f"no camera is known of {len(ROWS)} samples" in said
    with np.load(folder / f"{name_of(0)}.npz") as arrays:
        pixels, points = arrays["pixels"], arrays["points_mm"]
    step = np.linalg.norm(points[1, :2] - points[0, :2]) / np.linalg.norm(pixels[1] - pixels[0])
    assert step == pytest.approx(63 / 8)  # the eyes of make_row are 8 pixels apart


@pytest.mark.parametrize(
    ("modalities", "changes", "words"),
    [
        (("rgb",), {}, "no depth is stored"),
        (("rgb", "depth"), {**NO_CAMERA, "left_eye": (NAN, NAN)}, "neither a camera nor eyes are known"),
    ],
)
def test_what_has_no_place_in_space_is_refused(tmp_path, modalities, changes, words):
    data = write_dataset(tmp_path / "global.h5", [{**row, **changes} for row in ROWS], modalities=modalities)
    folder, said = export(data, "ply", code=2)
    assert words in said
    assert not folder.exists() or not list(folder.iterdir())


def test_a_file_without_colour_gives_points_and_meshes_without(tmp_path):
    data = write_dataset(tmp_path / "global.h5", ROWS, modalities=("depth",))
    for to in ("ply", "glb", "npz"):
        folder, _ = export(data, to)
        assert len(list(folder.glob(f"*.{to}"))) == len(ROWS)
