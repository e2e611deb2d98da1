"""A mesh or grid that an exporter turned comes out as the untouched one does, whatever was turned with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_prep.errors import SampleError
from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.bnt import read_bnt
from fer_prep.formats.bosphorus_landmarks import read_lm3
from fer_prep.formats.vrml import read_vrml
from fer_prep.geometry.turns import AXIS_TURNS, set_upright_by
from fer_prep.prepare.prepare_sample import prepare_sample, prepare_scene
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sample_data import bosphorus_tree, bu3dfe_tree
from fer_prep.sample_data.native_files import bnt_bytes
from fer_prep.sources.bosphorus import Bosphorus
from fer_prep.sources.bu3dfe import Bu3dfe

LOOK = np.array([[0.25, 0, 0], [0, 0.25, 0]])
SOME_TURNS = [0, 1, 4, 7, 10, 13, 16, 19, 22]


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    root = tmp_path_factory.mktemp("turned")
    bu3dfe_tree.write_subject(root, 0, rng=np.random.default_rng(3), intensities=())
    return root / "BU3DFE"


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    root = tmp_path_factory.mktemp("turned")
    bosphorus_tree.write_subject(root, 0, rng=np.random.default_rng(3))
    return root / "BosphorusDB"


def one(source, root):
    return min(source.list_samples(root).samples, key=lambda sample: sample.emotion != "neutral")


def in_folder(sample, folder):
    """A copy of a recording whose files may be changed."""
    for path in sample.files.values():
        (folder / path.name).write_bytes(path.read_bytes())
    return replace(sample, files={role: folder / path.name for role, path in sample.files.items()})


def turn_mesh(path, turn):
    """Write every point of the first point list turned."""
    text = path.read_text()
    mesh = read_vrml(path.read_bytes())
    start = text.index("[", text.index("Coordinate")) + 1
    points = ", ".join(" ".join(f"{value:.5f}" for value in point) for point in mesh.vertices @ turn.T)
    path.write_text(text[:start] + points + text[text.index("]", start) :])


def turn_bnd(path, turn):
    bnd = read_bnd(path.read_bytes())
    rows = zip(bnd.vertex_index, bnd.points_mm @ turn.T, strict=True)
    path.write_text("".join(f"{index} {x:.5f} {y:.5f} {z:.5f}\n" for index, (x, y, z) in rows))


def turn_grid(path, turn):
    grid = read_bnt(path.read_bytes())
    points = np.where(grid.valid[..., None], grid.points_mm @ turn.T, -1e9)
    planes = np.concatenate([points, np.where(grid.valid[..., None], grid.image_uv, -1e9)], axis=2)
    path.write_bytes(bnt_bytes(np.moveaxis(planes, 2, 0), picture_name=path.with_suffix(".png").name))


def turn_lm3(path, turn):
    table = read_lm3(path.read_bytes())
    rows = "".join(f"{label}\n{' '.join(f'{v:.5f}' for v in turn @ point)}\n" for label, point in table.items())
    path.write_text(f"# turned\n{len(table)} landmarks:\n{rows}")


def assert_alike(scene, untouched):
    seen, expected = scene.view(LOOK, size=128), untouched.view(LOOK, size=128)
    both = seen.valid & expected.valid
    assert np.count_nonzero(seen.valid ^ expected.valid) < 0.02 * np.count_nonzero(expected.valid)
    assert np.median(np.abs(seen.z_mm - expected.z_mm)[both]) < 0.02
    assert np.median(np.abs(seen.rgb.astype(int) - expected.rgb)[both]) <= 1
    for name, point in untouched.landmarks.items():
        np.testing.assert_allclose(scene.landmarks[name], point, atol=0.5)


@pytest.mark.parametrize("number", SOME_TURNS)
@pytest.mark.parametrize("what", ["mesh", "mesh and landmarks"])
def test_a_marked_mesh_is_set_upright(meshes, tmp_path, number, what):
    sample = one(Bu3dfe(), meshes)
    untouched, sample = Bu3dfe().load(sample), in_folder(sample, tmp_path)
    turn_mesh(sample.files["mesh"], AXIS_TURNS[number])
    if what == "mesh and landmarks":
        turn_bnd(sample.files["landmarks"], AXIS_TURNS[number])
    scene = Bu3dfe().load(sample)
    assert_alike(scene, untouched)
    assert scene.set_right == set_upright_by(AXIS_TURNS[number])
    points = scene.schemes["bu3dfe-83"]
    np.testing.assert_allclose(points.points_mm, untouched.schemes["bu3dfe-83"].points_mm, atol=0.01)


@pytest.mark.parametrize("number", SOME_TURNS)
@pytest.mark.parametrize("what", ["grid", "grid and landmarks"])
def test_a_marked_grid_is_set_upright(grids, tmp_path, number, what):
    sample = one(Bosphorus(), grids)
    untouched, sample = Bosphorus().load(sample), in_folder(sample, tmp_path)
    turn_grid(sample.files["grid"], AXIS_TURNS[number])
    if what == "grid and landmarks":
        turn_lm3(sample.files["landmarks_3d"], AXIS_TURNS[number])
    scene = Bosphorus().load(sample)
    assert_alike(scene, untouched)
    assert scene.set_right == set_upright_by(AXIS_TURNS[number])


@pytest.mark.parametrize("number", [4, 10, 16])
@pytest.mark.parametrize("kind", ["mesh", "grid"])
def test_without_landmark_files_the_face_itself_says_it(meshes, grids, tmp_path, number, kind):
    source, root = (Bu3dfe(), meshes) if kind == "mesh" else (Bosphorus(), grids)
    sample = in_folder(one(source, root), tmp_path)
    unmarked = replace(sample, files={role: path for role, path in sample.files.items() if "landmarks" not in role})
    untouched = source.load(unmarked)
    (turn_mesh if kind == "mesh" else turn_grid)(sample.files[kind], AXIS_TURNS[number])
    assert_alike(source.load(unmarked), untouched)


def test_a_face_that_looks_along_no_axis_is_rejected(meshes, tmp_path):
    sample = in_folder(one(Bu3dfe(), meshes), tmp_path)
    axis = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    askew = np.eye(3) * 0.5 + 0.5 * np.outer(axis, axis) + np.sin(np.pi / 3) * cross  # 60° about the diagonal
    turn_mesh(sample.files["mesh"], askew)
    turn_bnd(sample.files["landmarks"], askew)
    with pytest.raises(SampleError, match="looks along an axis, to 45°; found one turned") as caught:
        Bu3dfe().load(sample)
    assert caught.value.path == sample.files["landmarks"]


def test_a_turn_is_said_with_the_sample(meshes, tmp_path):
    sample = in_folder(one(Bu3dfe(), meshes), tmp_path)
    turn_mesh(sample.files["mesh"], np.diag([-1.0, 1.0, -1.0]))
    prepared = prepare_sample(sample, source=Bu3dfe(), settings=PrepareSettings(size=64, mesh=False))
    assert prepared.set_right == {"turned upright by": "180°"}


def test_landmarks_that_lie_on_the_inside_of_a_face_are_refused(meshes):
    sample = one(Bu3dfe(), meshes)
    scene = Bu3dfe().load(sample).turned(np.diag([-1.0, 1.0, -1.0]))
    settings = PrepareSettings(size=64, mesh=False)
    with pytest.raises(SampleError, match="a nose nearer to the viewer than the eyes"):
        prepare_scene(scene, sample=sample, settings=settings, modalities=("rgb", "depth"))
