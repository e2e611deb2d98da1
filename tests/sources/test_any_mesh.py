"""A mesh of any scanner becomes an upright face in millimetres: by its own face, whatever its file's unit and axes."""

from __future__ import annotations

import csv
import json
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FormatError, SampleError
from fer_prep.formats.images import read_rgb
from fer_prep.formats.surface_file import has_colour, read_surface
from fer_prep.formats.vrml import read_vrml
from fer_prep.geometry.turns import set_upright_by
from fer_prep.sample import Sample
from fer_prep.sample_data import bu3dfe_tree
from fer_prep.sources.any_mesh import load_mesh

TURNS = [
    turn
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
    if np.linalg.det(turn := (np.eye(3)[list(order)] * np.array(signs)[:, None])) > 0
]


@pytest.fixture(scope="module")
def face(tmp_path_factory) -> trimesh.Trimesh:
    """A textured mesh of the sample data: x right, y up, z toward the viewer, mm."""
    root = tmp_path_factory.mktemp("bu3dfe")
    bu3dfe_tree.write_subject(root, 0, rng=np.random.default_rng([0, 0, 0]), intensities=(4,))
    path = next(root.rglob("*HA04*_F3D.wrl"))
    mesh = read_vrml(path.read_bytes())
    texture = Image.fromarray(read_rgb(path.with_suffix(".bmp").read_bytes()))
    corners = mesh.faces.ravel()
    visual = TextureVisuals(uv=mesh.uv_corners.reshape(-1, 2), image=texture)
    return trimesh.Trimesh(mesh.vertices[corners], np.arange(len(corners)).reshape(-1, 3), visual=visual, process=False)


def turned(mesh: trimesh.Trimesh, turn: np.ndarray, *, scale: float = 1.0) -> trimesh.Trimesh:
    copy = mesh.copy()
    copy.vertices = mesh.vertices @ turn.T * scale
    return copy


def sample(path: Path) -> Sample:
    return Sample(
        id="lab/a", dataset="lab", subject="lab:a", emotion="anger", label_source="posed", source_file=path.name,
        files={"mesh": path},
    )  # fmt: skip


def load(path: Path):
    return load_mesh(sample(path), renderer="open3d")


def assert_in_place(scene, mesh: trimesh.Trimesh) -> None:
    """Every extent is that of the mesh before it was turned."""
    for extent in (np.min, np.max):
        seen = extent(scene.geometry.vertices_mm, axis=0)
        np.testing.assert_allclose(seen, extent(mesh.vertices, axis=0), atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(24))
def test_a_face_turned_by_an_exporter_is_turned_back(face, tmp_path, number):
    turn, scale = TURNS[number], (1.0, 0.1, 0.001)[number % 3]
    turned(face, turn, scale=scale).export(tmp_path / "face.glb")
    scene = load(tmp_path / "face.glb")
    unit = ("mm", "cm", "m")[number % 3]
    assert scene.set_right == {"measured in": unit, **set_upright_by(turn)}
    assert_in_place(scene, face)
    low, high = scene.project(face.vertices).min(0), scene.project(face.vertices).max(0)
    assert low.min() > 0
    assert high.max() < 512


def test_the_picture_of_a_textured_mesh_is_that_of_its_native_file(face, tmp_path):
    face.export(tmp_path / "face.obj")
    assert has_colour(tmp_path / "face.obj")
    scene = load(tmp_path / "face.obj")
    middle = scene.picture()[156:356, 156:356].astype(int)
    assert np.ptp(middle, axis=(0, 1)).min() > 60
    assert np.abs(middle - middle.mean(axis=2, keepdims=True)).mean() > 5, "skin is not grey"


@pytest.mark.parametrize("name", ["face.stl", "plain.ply"])
def test_without_colour_the_face_is_found_on_clay(face, tmp_path, name):
    plain = trimesh.Trimesh(face.vertices, face.faces, process=True)
    plain.export(tmp_path / name)
    assert not has_colour(tmp_path / name)
    assert_in_place(load(tmp_path / name), plain)


def test_points_become_a_surface(face, tmp_path):
    points = trimesh.Trimesh(face.vertices, face.faces).sample(30_000, seed=0)
    np.savetxt(tmp_path / "face.xyz", points)
    surface = read_surface(tmp_path / "face.xyz")
    assert len(surface.faces) > 30_000
    assert load(tmp_path / "face.xyz").set_right == {"measured in": "mm"}


def test_the_inside_of_a_face_is_not_taken_for_one(face, tmp_path):
    """A face pressed inwards looks like one from the front, and from behind as well."""
    hollow = trimesh.Trimesh(face.vertices * (1, 1, -1), face.faces, process=True)
    hollow.export(tmp_path / "face.stl")
    assert load(tmp_path / "face.stl").set_right["turned upright by"] == "180°", "seen from behind, it is a face"


@pytest.mark.parametrize(
    ("mesh", "words"),
    [
        (trimesh.creation.box((150, 150, 150)), "face on one of six sides"),
        (trimesh.creation.icosphere(3, radius=80), "face on one of six sides"),
    ],
)
def test_what_shows_no_face_is_rejected_by_name(mesh, words, tmp_path):
    mesh.export(tmp_path / "thing.stl")
    with pytest.raises(SampleError, match=words) as caught:
        load(tmp_path / "thing.stl")
    assert caught.value.path == tmp_path / "thing.stl"


def test_a_face_as_large_as_a_house_is_rejected(face, tmp_path):
    turned(face, np.eye(3), scale=77.0).export(tmp_path / "face.glb")
    with pytest.raises(SampleError, match="in no unit"):
        load(tmp_path / "face.glb")


def test_a_texture_is_found_beside_a_material_of_another_machine(face, tmp_path):
    face.export(tmp_path / "face.obj")
    (material,) = tmp_path.glob("*.mtl")
    (picture,) = tmp_path.glob("*.png")
    material.write_text(material.read_text().replace(picture.name, rf"C:\scans\{picture.name}"))
    assert read_surface(tmp_path / "face.obj").texture is not None
    picture.unlink()
    with pytest.raises(FormatError, match=r"no such file") as caught:
        read_surface(tmp_path / "face.obj")
    assert picture.name in str(caught.value)


@pytest.mark.parametrize("name", ["a.obj", "a.ply", "a.stl", "a.glb", "a.pcd", "a.xyz"])
@pytest.mark.parametrize("content", [b"", b"ply\nformat binary_little_endian 1.0\n", b"\0" * 200, b"nothing of it"])
def test_bytes_of_something_else_are_refused_in_our_words(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read_surface(tmp_path / name)
    assert caught.value.path == tmp_path / name


def folder(root: Path, meshes: dict[str, trimesh.Trimesh]) -> Path:
    root.mkdir()
    with (root / "samples.csv").open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["mesh", "subject", "emotion"])
        for number, (name, mesh) in enumerate(meshes.items()):
            mesh.export(root / name)
            lines.writerow([name, f"s{number}", "happiness"])
    return root


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return " ".join(done.output.split())


def test_a_folder_of_meshes_is_imported_and_merged(face, tmp_path):
    coloured = turned(face, TURNS[7], scale=0.001)
    plain = trimesh.Trimesh(face.vertices, face.faces, process=True)
    raw = folder(tmp_path / "raw", {"a.glb": face, "b.glb": coloured, "c.stl": plain})
    out = tmp_path / "prepared"
    said = run("import", raw, "--dataset", "lab", "--out", out, "--size", 64, "--workers", 0, "--max-rejected", 0.5)
    assert "lab: 1 recording(s) measured in m: lab/b" in said
    told = json.loads((out / "prepared.json").read_text())["set_right"]
    degrees = set_upright_by(TURNS[7])["turned upright by"]
    assert told == {
        "measured in m": ["lab/b"],
        "measured in mm": ["lab/a"],
        f"turned upright by {degrees}": ["lab/b"],
    }
    with (out / "rejected.csv").open(newline="") as stream:
        (rejected,) = csv.DictReader(stream)
    assert (rejected["source_file"], rejected["reason"]) == ("c.stl", "no-colour")
    run("merge", out, "--out", tmp_path / "lab.h5", "--size", 64)
    with DatasetFile.open(tmp_path / "lab.h5") as data:
        assert data.modalities == ("rgb", "depth")
        first, second = data.read("depth", [0, 1]).astype(int)
        seen = (first > 0) & (second > 0)
        assert seen.mean() > 0.4
        assert np.median(np.abs(first - second)[seen]) < 5, "0.05 mm between the same face in two frames and units"
        assert np.isfinite(data.column("mm_per_pixel")).all()


def test_meshes_without_colour_make_a_dataset_of_depth_alone(face, tmp_path):
    raw = folder(tmp_path / "raw", {"c.stl": trimesh.Trimesh(face.vertices, face.faces, process=True)})
    run("import", raw, "--dataset", "lab", "--out", tmp_path / "prepared", "--size", 64, "--workers", 0)
    run("merge", tmp_path / "prepared", "--out", tmp_path / "lab.h5", "--size", 64)
    with DatasetFile.open(tmp_path / "lab.h5") as data:
        assert data.modalities == ("depth",)
        assert (data.read("depth", [0]) > 0).mean() > 0.4
        assert np.isfinite(data.column("left_eye")).all(), "found on clay"


def ply_of_a_scanner(mesh: trimesh.Trimesh, path: Path) -> None:
    """Binary, with the properties that scanners add: 8-bit colours, quality, confidence, flags of faces."""
    vertices = np.zeros(
        len(mesh.vertices),
        [("place", "<f4", 3), ("rgba", "u1", 4), ("quality", "u1"), ("confidence", "<f4"), ("label", "<i2")],
    )
    vertices["place"], vertices["rgba"], vertices["confidence"] = mesh.vertices, (200, 160, 140, 255), 0.5
    faces = np.zeros(len(mesh.faces), [("flags", "u1"), ("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    header = (
        f"ply\nformat binary_little_endian 1.0\ncomment a scanner\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nproperty uchar alpha\n"
        "property uchar quality\nproperty float confidence\nproperty short label\n"
        f"element face {len(faces)}\nproperty uchar flags\nproperty list uchar int vertex_indices\nend_header\n"
    )
    path.write_bytes(header.encode() + vertices.tobytes() + faces.tobytes())


def test_further_properties_of_a_binary_ply_are_passed_over(face, tmp_path):
    plain = trimesh.Trimesh(face.vertices, face.faces, process=True)
    ply_of_a_scanner(plain, tmp_path / "scan.ply")
    assert has_colour(tmp_path / "scan.ply")
    surface = read_surface(tmp_path / "scan.ply")
    np.testing.assert_allclose(surface.vertices, plain.vertices, atol=1e-4)
    np.testing.assert_array_equal(surface.faces, plain.faces)
    assert (surface.colours == (200, 160, 140)).all()


def test_vertices_that_are_no_numbers_are_holes(face, tmp_path):
    plain = trimesh.Trimesh(face.vertices, face.faces, process=True)
    plain.vertices[np.argsort(plain.vertices[:, 1])[-200:]] = np.nan
    plain.export(tmp_path / "face.ply")
    scene = load(tmp_path / "face.ply")
    assert np.isfinite(scene.geometry.used_vertices_mm).all()
    assert scene.view(np.eye(2, 3), size=512).valid.mean() > 0.2


def test_bad_meshes_are_rejected_by_name_and_the_rest_goes_on(face, tmp_path):
    plain = trimesh.Trimesh(face.vertices, face.faces, process=True)
    point = np.zeros((1_000_000, 3), np.int32)
    beside = turned(plain, np.eye(3))
    beside.vertices += [230, 0, 0]
    bad = {
        "degenerate": trimesh.Trimesh(plain.vertices, point, process=False),
        "house": turned(plain, np.eye(3), scale=77.0),
        "not-numbers": trimesh.Trimesh(plain.vertices * np.nan, plain.faces, process=False),
        "pea": turned(plain, np.eye(3), scale=0.008),
        "two-faces": trimesh.util.concatenate([plain, beside]),
    }
    raw = folder(tmp_path / "raw", {"good.ply": plain, **{f"{name}.ply": mesh for name, mesh in bad.items()}})
    with (raw / "samples.csv").open("a") as stream:
        stream.write("no-faces.stl,x,happiness\nno-faces.obj,y,happiness\n")
    (raw / "no-faces.stl").write_bytes(bytes(84))
    (raw / "no-faces.obj").write_text("v 0 0 0\nv 1 0 0\n")
    out = tmp_path / "prepared"
    run("import", raw, "--dataset", "lab", "--out", out, "--size", 64, "--workers", 0, "--max-rejected", 1)
    with (out / "rejected.csv").open(newline="") as stream:
        found = {row["source_file"]: f"{row['reason']}: {row['found']}" for row in csv.DictReader(stream)}
    assert found == {
        "degenerate.ply": "unreadable: 1000000 faces without area",
        "house.ply": found["house.ply"],
        "no-faces.obj": found["no-faces.obj"],
        "no-faces.stl": found["no-faces.stl"],
        "not-numbers.ply": "no-depth: none in 12620 faces",
        "pea.ply": found["pea.ply"],
        "two-faces.ply": "no-face: 2 faces",
    }
    assert "in no unit" in found["house.ply"]
    assert "in no unit" in found["pea.ply"]
    with (out / "samples.csv").open(newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == ["lab/good"]
