"""Networks that look at metric depth: of a dataset, of loose pictures, and of meshes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from dataset_factories import make_rows, write_prepared
from PIL import Image
from tiny_training import untrained_run
from trimesh.visual import TextureVisuals

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FormatError, UsageError
from fer_prep.formats.images import read_rgb
from fer_prep.formats.vrml import read_vrml
from fer_prep.merge.merge_folders import merge
from fer_prep.sample_data import bu3dfe_tree
from fer_train.inference.export import export_fold
from fer_train.inference.predict import predict
from fer_train.inference.predictor import Predictor

CPU = torch.device("cpu")
LOOKS_AT = {"pictures": {"inputs": "rgb,normals"}, "points": {"network": "pointnet"}, "voxels": {"network": "voxnet"}}
KNOWN = "no camera is known of 1 pictures: eyes 63 mm apart"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(kind → predictor of an untrained run, a prepared folder, the dataset that was merged of it)."""
    place = tmp_path_factory.mktemp("space")
    rows = make_rows({"bu3dfe": 4})
    nan = float("nan")
    unknown = {"mm_per_pixel": nan, "origin_mm": (nan, nan)}
    rows[0] |= unknown | {"focal_px": 90.0, "principal_px": (14.0, 18.0), "depth_offset_mm": -400.0}
    rows[1] |= unknown
    folder = write_prepared(place / "bu3dfe", rows)
    merge([folder], out=place / "global.h5", size=32)
    runs = {
        kind: untrained_run(place / kind, place / "global.h5", **{f"model__{k}": v for k, v in settings.items()})
        for kind, settings in LOOKS_AT.items()
    }
    return {kind: Predictor.load(run.path, device=CPU) for kind, run in runs.items()}, folder, place / "global.h5"


def framed(predictor, **preparation):
    """As if its training pictures had been prepared so."""
    return replace(predictor, descriptions=tuple(replace(d, preparation=preparation) for d in predictor.descriptions))


@pytest.mark.parametrize("kind", LOOKS_AT)
def test_a_prepared_folder_is_answered_as_the_dataset_that_is_made_of_it(made, kind):
    predictors, folder, data = made
    of_data = predict(predictors[kind], data, strangers_only=False)
    of_folder = predict(predictors[kind], folder, strangers_only=False)
    assert any(KNOWN in note for note in of_folder.notes)
    expected = {p.id.split("/")[1]: p.probabilities for p in of_data.predictions}
    assert len(expected) == 28
    for found in of_folder.predictions:
        assert found.probabilities == pytest.approx(expected[found.id], abs=1e-5)


@pytest.mark.parametrize("kind", LOOKS_AT)
def test_a_recorded_pair_is_as_large_as_its_eyes_say(made, sample_faces, kind):
    face = sample_faces.upright()
    rgb, depth = sample_faces.root / face.picture, sample_faces.depth_file(face)
    for framing in ("eyes", "none"):  # unframed, the eyes are looked for in the picture
        answers = predict(framed(made[0][kind], framing=framing, size=64), rgb, depth=depth)
        assert len(answers.predictions) == 1
        assert any(KNOWN in note for note in answers.notes)


def test_arrays_take_the_size_of_a_pixel_from_landmarks_or_from_who_knows_it(made):
    predictors, _, data = made
    predictor = predictors["points"]
    with DatasetFile.open(data) as file:
        stored = {name: file.read(name, [5]) for name in ("rgb", "depth")}
        columns = {name: file.column(name)[5:6] for name in ("left_eye", "right_eye")}
    with pytest.raises(UsageError, match="how large a pixel is, is not known"):
        predictor.prepare(stored)
    points = np.full((1, 468, 2), np.nan, np.float32)
    for name, corners in (("right_eye", (33, 133)), ("left_eye", (362, 263))):
        points[:, corners] = columns[name][:, None]
    by_points = predictor.probabilities(predictor.prepare(stored | {"points_px": points}))
    by_columns = predictor.probabilities(predictor.prepare(stored | columns))
    np.testing.assert_allclose(by_points, by_columns, atol=1e-6)
    known = predictor.probabilities(predictor.prepare(stored | columns | {"mm_per_pixel": np.array([20.0])}))
    assert np.abs(known - by_columns).max() > 1e-4


@pytest.mark.parametrize("kind", LOOKS_AT)
def test_an_export_answers_as_the_run_and_there_is_no_graph(made, tmp_path, kind):
    _, folder, data = made
    export_fold(data.parent / kind, tmp_path / "model")
    [expected, found] = (
        predict(Predictor.load(path, device=CPU), folder, strangers_only=False).predictions
        for path in (data.parent / kind / "fold-0", tmp_path / "model")
    )
    assert found == expected
    with pytest.raises(UsageError, match="no ONNX graph"):
        export_fold(data.parent / kind, tmp_path / "graph", onnx=True)
    assert not (tmp_path / "graph").exists()


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    """A face of the sample data as a scanner's mesh: with a texture, and without any colour."""
    place = tmp_path_factory.mktemp("meshes")
    bu3dfe_tree.write_subject(place, 0, rng=np.random.default_rng([0, 0, 0]), intensities=(4,))
    path = next(place.rglob("*HA04*_F3D.wrl"))
    mesh, texture = read_vrml(path.read_bytes()), Image.fromarray(read_rgb(path.with_suffix(".bmp").read_bytes()))
    corners = mesh.faces.ravel()
    visual = TextureVisuals(uv=mesh.uv_corners.reshape(-1, 2), image=texture)
    faces = np.arange(len(corners)).reshape(-1, 3)
    trimesh.Trimesh(mesh.vertices[corners] / 1000, faces, visual=visual, process=False).export(place / "face.obj")
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(place / "face.stl")
    return place


@pytest.mark.parametrize("kind", LOOKS_AT)
def test_a_mesh_is_answered_as_a_picture_with_its_depth_is(made, meshes, kind):
    answers = predict(framed(made[0][kind], framing="eyes", size=64), meshes / "face.obj")
    assert [p.id for p in answers.predictions] == ["face"]
    assert answers.notes == []  # its own millimetres


def test_a_mesh_without_colour_does_where_no_colour_is_looked_at(made, meshes):
    predictors, _, _ = made
    eyes = {"framing": "eyes", "size": 64}
    assert len(predict(framed(predictors["voxels"], **eyes), meshes / "face.stl").predictions) == 1
    with pytest.raises(FormatError, match="a mesh with rgb, which this network looks at") as raised:
        predict(framed(predictors["points"], **eyes), meshes / "face.stl")
    assert raised.value.path == meshes / "face.stl"


def test_a_mesh_is_never_prepared_already(made, meshes):
    with pytest.raises(FormatError, match="found a mesh") as raised:
        predict(made[0]["voxels"], meshes / "face.obj", prepared=True)
    assert "--prepared" in raised.value.hint
    with pytest.raises(UsageError, match="a picture or a mesh"):
        predict(made[0]["voxels"], meshes / "face.obj", depth=meshes / "face.stl")
