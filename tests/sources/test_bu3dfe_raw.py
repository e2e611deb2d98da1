"""``--mesh raw``: the uncropped mesh comes to lie where the F3D mesh of its recording is."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from fer_prep.errors import SampleError
from fer_prep.formats.vrml import read_vrml
from fer_prep.sample_data import bu3dfe_tree
from fer_prep.sources.bu3dfe import Bu3dfe

MOVED = "rotation 0.3 1 0.1 0.35 translation -35 -140 -960"


@pytest.fixture
def tree(tmp_path):
    """One recording of the sample data, its RAW mesh the same one moved and turned by 20°."""
    bu3dfe_tree.write_subject(tmp_path, 0, rng=np.random.default_rng(3), intensities=())
    for mesh in tmp_path.rglob("*_F3D.wrl"):
        header, body = mesh.read_text().split("\n", 1)
        raw = mesh.with_name(mesh.name.replace("F3D", "RAW"))
        raw.write_text(f"{header}\nTransform {{ {MOVED} children [ {body} ] }}")
    return tmp_path


def test_it_lies_where_the_other_is_with_its_landmarks(tree):
    (sample,) = Bu3dfe(mesh="raw").list_samples(tree).samples
    moved = read_vrml(sample.files["raw"].read_bytes()).vertices
    scene, expected = Bu3dfe(mesh="raw").load(sample), Bu3dfe().load(Bu3dfe().list_samples(tree).samples[0])
    assert np.linalg.norm(moved - expected.geometry.vertices_mm, axis=1).min() > 500
    apart_mm = np.linalg.norm(scene.geometry.vertices_mm - expected.geometry.vertices_mm, axis=1)
    assert apart_mm.max() < 0.1
    assert float(scene.set_right["registered to the F3D mesh to"].removesuffix(" mm")) < 0.05
    marks = scene.schemes["bu3dfe-83"]
    np.testing.assert_array_equal(marks.points_mm, expected.schemes["bu3dfe-83"].points_mm)
    assert (marks.vertex == -1).all()
    assert set(scene.landmarks) == set(expected.landmarks)


def test_without_landmark_files_it_is_found_as_well(tree):
    for marks in tree.rglob("*.bnd"):
        marks.unlink()
    (sample,) = Bu3dfe(mesh="raw").list_samples(tree).samples
    assert "registered to the F3D mesh to" in Bu3dfe(mesh="raw").load(sample).set_right


def test_the_raw_mesh_of_another_face_is_rejected(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    bu3dfe_tree.write_subject(other, 3, rng=np.random.default_rng(9), intensities=())
    (sample,) = Bu3dfe(mesh="raw").list_samples(tree).samples
    shutil.copy(next(other.rglob("*_F3D.wrl")), sample.files["raw"])
    with pytest.raises(SampleError, match="the RAW mesh of the same face, to 1 mm") as caught:
        Bu3dfe(mesh="raw").load(sample)
    assert caught.value.path == sample.files["raw"]
