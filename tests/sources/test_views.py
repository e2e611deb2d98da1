"""Views: which there are, and that depth, colour and landmarks turn together; no split divides them."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import open3d
import pytest
from raw_trees import SIDE_MM, bowl_mm, grey, grid_xy, write_bosphorus, write_bu3dfe
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import SampleError, UsageError
from fer_prep.folds.protocols import make_splits, read_protocol, recordings_of
from fer_prep.formats.vrml import read_vrml
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.geometry.stored_camera import StoredCamera
from fer_prep.geometry.turns import view_turn
from fer_prep.prepare.prepare_sample import load_view, prepare_sample, table_row
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sample_data import bu3dfe_tree
from fer_prep.sources import make_source
from fer_prep.sources.bosphorus import Bosphorus
from fer_prep.sources.bu3dfe import Bu3dfe
from fer_prep.sources.views import Views

SETTINGS = PrepareSettings(size=128, mesh=False)
ANGLES = [(30, 0), (-30, 0), (0, 15), (-40, -20), (60, 10)]


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    """A recording of the sample data with its views."""
    root = tmp_path_factory.mktemp("views")
    bu3dfe_tree.write_subject(root, 0, rng=np.random.default_rng(5), intensities=())
    return min(Bu3dfe().list_samples(root / "BU3DFE").samples, key=lambda sample: sample.emotion != "neutral")


def view_of(sample, yaw, pitch):
    return replace(sample, id=f"{sample.id}@y{yaw:+d}p{pitch:+d}", yaw_degrees=yaw, pitch_degrees=pitch)


def test_every_yaw_goes_with_every_pitch_and_the_frontal_view_stays(tmp_path):
    source = Bosphorus(views="yaw=-30,0,30 pitch=-15,0,15")
    ids = [sample.id for sample in source.list_samples(write_bosphorus(tmp_path, "bs000_N_N_0")).samples]
    assert len(ids) == len(set(ids)) == 9
    assert ids[0] == "bosphorus/bs000_N_N_0"
    assert {"bosphorus/bs000_N_N_0@y+30p-15", "bosphorus/bs000_N_N_0@y+0p+15"} <= set(ids)


def test_random_views_are_those_of_recording_and_seed():
    views = Views.parse("random=8 yaw=-40..40 pitch=-20..20")
    drawn = views.of("bu3dfe/F0001_NE00WH", seed=0)
    assert drawn == views.of("bu3dfe/F0001_NE00WH", seed=0)
    assert drawn != views.of("bu3dfe/F0001_NE00WH", seed=1)
    assert drawn != views.of("bu3dfe/F0002_NE00WH", seed=0)
    assert len(set(drawn)) == 8
    assert (0, 0) not in drawn
    many = np.array([view for k in range(200) for view in views.of(str(k), seed=0)])
    assert many.min(axis=0).tolist() == [-40, -20]
    assert many.max(axis=0).tolist() == [40, 20]


@pytest.mark.parametrize(
    "text",
    ["yaw", "yaw=", "yaw=1.5", "roll=3", "random=0 yaw=-3..3", "random=2 yaw=3..-3", "random=4 yaw=0..2",
     "yaw=95", "yaw=1 yaw=2", "random=8"],
)  # fmt: skip
def test_what_is_no_view_is_refused(text):
    with pytest.raises(UsageError, match="--views"):
        make_source("bosphorus", views=text)


def test_a_photograph_has_no_further_views(face):
    with pytest.raises(UsageError, match="a photograph has one view"):
        make_source("bu3dfe", rgb="photo", views="yaw=30")
    photo = Bu3dfe(rgb="photo").load(face) if "photo" in face.files else None
    assert photo is not None
    with pytest.raises(SampleError, match="a photograph"):
        photo.turned(np.eye(3))


@pytest.mark.parametrize(("yaw", "pitch"), ANGLES)
def test_what_points_ahead_goes_where_the_format_says(yaw, pitch):
    y, p = np.radians([yaw, pitch])
    expected = np.sin(y), np.cos(y) * np.sin(p), np.cos(y) * np.cos(p)
    np.testing.assert_allclose(view_turn(yaw, pitch) @ [0, 0, 1], expected)
    np.testing.assert_allclose(np.linalg.det(view_turn(yaw, pitch)), 1)


@pytest.mark.parametrize(("yaw", "pitch"), ANGLES)
def test_a_view_is_what_rays_meet_on_the_turned_mesh(face, yaw, pitch):
    sample = view_of(face, yaw, pitch)
    made = prepare_sample(sample, source=Bu3dfe(), settings=SETTINGS)
    row = table_row(sample, made.measured, classes=("neutral",))
    points = StoredCamera.of(row).points_mm(made.depth, unit_mm=0.01)
    there = made.depth > 0
    mesh = read_vrml(face.files["mesh"].read_bytes())
    y, p = np.radians([yaw, pitch])
    x, up, z = mesh.vertices.T
    x, z = x * np.cos(y) + z * np.sin(y), z * np.cos(y) - x * np.sin(y)
    up, z = up * np.cos(p) + z * np.sin(p), z * np.cos(p) - up * np.sin(p)
    scene = open3d.t.geometry.RaycastingScene()
    scene.add_triangles(np.stack([x, up, z], axis=1).astype(np.float32), mesh.faces.astype(np.uint32))
    columns, rows = np.meshgrid(np.arange(128.0), np.arange(128.0))
    at = StoredCamera.of(row).points_at(columns, rows, np.full((128, 128), 500.0))
    rays = np.concatenate([at, np.broadcast_to([0, 0, -1.0], at.shape)], axis=2).astype(np.float32)
    truth = 500 - scene.cast_rays(open3d.core.Tensor(rays))["t_hit"].numpy()
    seen = np.isfinite(truth)
    apart = np.abs(points[..., 2] - truth)[there & seen]
    assert np.median(apart) <= 0.02
    assert np.percentile(apart, 99) <= 0.3
    assert np.count_nonzero(there ^ seen) < 0.01 * np.count_nonzero(seen)


@pytest.mark.parametrize(("yaw", "pitch"), ANGLES)
def test_landmarks_turn_along_and_colour_with_them(face, yaw, pitch):
    frontal = Bu3dfe().load(face)
    made = prepare_sample(view_of(face, yaw, pitch), source=Bu3dfe(), settings=SETTINGS)
    marks = made.landmarks["bu3dfe-83"]
    expected = frontal.schemes["bu3dfe-83"].points_mm @ view_turn(yaw, pitch).T
    np.testing.assert_allclose(marks.points_mm[0], expected, atol=0.01)
    row = table_row(view_of(face, yaw, pitch), made.measured, classes=("neutral",))
    assert (row["yaw_degrees"], row["pitch_degrees"]) == (yaw, pitch)
    columns, rows = marks.points_px[0].astype(np.float64).T
    back = StoredCamera.of(row).points_at(columns, rows, expected[:, 2])
    assert np.linalg.norm(back - expected, axis=1).max() < 0.5 * row["mm_per_pixel"]


@pytest.mark.parametrize(("yaw", "pitch"), ANGLES)
def test_a_turned_grid_is_as_exact_as_a_frontal_one(yaw, pitch):
    xy = grid_xy(161)[::-1]
    clean = np.dstack([xy, bowl_mm(xy[..., 0], xy[..., 1])])
    points = clean + np.random.default_rng(0).normal(0, 0.15, clean.shape) * [0, 0, 1]
    scene = GridScene(
        points, image_uv=xy / SIDE_MM + 0.5, valid=np.ones(xy.shape[:2], bool), picture=grey(), landmarks_mm={}
    )

    def error_mm(turn):
        frame = scene.turned(turn).view(np.array([[0.5, 0, 0], [0, 0.5, 0]]), size=256)
        rows, columns = np.nonzero(frame.valid)
        x, y = np.array(frame.origin_mm)[:, None] + frame.mm_per_pixel * np.stack([columns, -rows])
        back = np.stack([x, y, frame.z_mm[frame.valid]], axis=1) @ turn
        steep = np.hypot(*back[:, :2].T) / 75
        return np.percentile(np.abs(back[:, 2] - bowl_mm(*back[:, :2].T)) / np.hypot(1, steep), [50, 95])

    assert (error_mm(view_turn(yaw, pitch)) <= 1.5 * error_mm(np.eye(3))).all()


def test_from_the_command_to_splits_that_divide_no_recording(tmp_path):
    root = write_bu3dfe(tmp_path / "raw", *(f"F000{k}_{code}WH" for k in range(1, 4) for code in ("AN04", "NE00")))
    out, data = tmp_path / "bu3dfe", tmp_path / "global.h5"
    views = ["--views", "yaw=-20,0,20", "--size", "32", "--workers", "0", "--unfound", "keep"]
    run = CliRunner().invoke(app, ["render-bu3dfe", "--root", str(root), "--out", str(out), *views])
    assert run.exit_code == 0, run.output
    assert CliRunner().invoke(app, ["merge", str(out), "--out", str(data)]).exit_code == 0
    with (out / "samples.csv").open() as stream:
        turned = {row["id"]: row["yaw_degrees"] for row in csv.DictReader(stream)}
    assert len(turned) == 18
    assert turned["bu3dfe/F0001_AN04WH@y-20p+0"] == "-20.0"
    with DatasetFile(data) as file:
        recordings = recordings_of(file)
        assert len(set(recordings)) == 6
        for name in ("thesis-5fold", "subject-kfold"):
            protocol = read_protocol(name)
            for train, val in make_splits(file, rows=np.arange(18), protocol=protocol, folds=3, repeats=1, seed=0):
                assert not set(recordings[train]) & set(recordings[val])
    checked = CliRunner().invoke(app, ["check", str(data), "--deep"])
    assert "views" in checked.output
    assert load_view.__doc__
