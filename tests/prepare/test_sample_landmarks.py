"""Landmarks as they are stored: pixel centres, millimetres of the depth below, and the same after any interruption."""

from __future__ import annotations

import numpy as np
import pytest
from folder_snapshot import snapshot
from raw_trees import write_bosphorus, write_bu3dfe

from fer_prep.depth_encoding import decode_depth
from fer_prep.engines.engine import InProcessEngine
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.formats.images import read_depth
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.prepare.folder import PreparedFolder
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sources.bosphorus import Bosphorus
from fer_prep.sources.bu3dfe import Bu3dfe
from fer_prep.sources.cald3r_mend3s import cald3r

DATASET = FinderSpec(kinds=("dataset",))
MESH = "mediapipe-468"


def prepared(source, root, out, **settings):
    settings = PrepareSettings(**{"size": 96, "landmarks": DATASET, **settings})
    prepare(source, root=root, out=out, settings=settings, engine=InProcessEngine())
    return PreparedFolder.open(out)


def seen_xy(row, points_px):
    """(L, 2) metric x, y of stored pixels (L, 2) by the formula of the format."""
    phi, m = np.radians(row["roll_degrees"]), row["mm_per_pixel"]
    c, r = points_px.astype(np.float64).T
    x0, y0 = row["origin_mm"]
    x = x0 + m * (c * np.cos(phi) - r * np.sin(phi))
    return np.stack([x, y0 - m * (c * np.sin(phi) + r * np.cos(phi))], axis=1)


@pytest.mark.parametrize("framing", ["rotate", "rotate-only", "eyes", "none"])
@pytest.mark.parametrize(
    ("source", "write", "name", "scheme"),
    [
        (Bu3dfe(), write_bu3dfe, "F0001_AN01WH", "bu3dfe-83"),
        (Bosphorus(), write_bosphorus, "bs000_N_N_0", "bosphorus-24"),
    ],
)
def test_pixels_and_millimetres_of_a_dataset_say_the_same(tmp_path, framing, source, write, name, scheme):
    folder = prepared(source, write(tmp_path / "raw", name), tmp_path / "out", framing=framing, mesh=False)
    points, row = folder.landmarks[scheme], folder.rows[0]
    known = np.isfinite(points.points_mm[0]).all(axis=1)
    assert known.sum() >= 8
    xy = seen_xy(row, points.points_px[0])
    np.testing.assert_allclose(xy[known], points.points_mm[0, known, :2], atol=0.01)
    # and the depth under each of them is that of the surface
    depth = read_depth(folder.depth_path(name).read_bytes())
    z_mm, _ = decode_depth(depth, float(row["depth_offset_mm"]))
    columns, rows = np.rint(points.points_px[0, known]).astype(int).T
    inside = (columns >= 0) & (rows >= 0) & (columns < 96) & (rows < 96)
    np.testing.assert_allclose(z_mm[rows[inside], columns[inside]], points.points_mm[0, known][inside, 2], atol=3)
    if scheme == "bu3dfe-83":
        assert (points.vertex >= 0).all()


def test_a_face_mesh_that_is_not_found_rejects_nothing(tmp_path):
    folder = prepared(Bu3dfe(), write_bu3dfe(tmp_path / "raw", "F0001_AN01WH"), tmp_path / "out")
    assert len(folder.rows) == 1
    mesh = folder.landmarks[MESH]
    assert mesh.names == tuple(str(vertex) for vertex in range(468))
    assert np.isnan(mesh.points_px).all()
    assert np.isnan(mesh.points_mm).all()


def test_the_face_mesh_lies_on_the_depth_where_the_camera_is_known(sample_faces, tmp_path):
    focal_px = 400.0
    source = cald3r(focal_px=focal_px)
    folder = prepared(source, sample_faces.tree, tmp_path / "out", landmarks=FinderSpec(kinds=("mediapipe",)))
    mesh = folder.landmarks[MESH]
    for k, row in enumerate(folder.rows[:3]):
        eyes = mesh.points_px[k, [33, 133, 362, 263]]
        np.testing.assert_allclose(eyes[:2].mean(axis=0), row["right_eye"], atol=1e-3)
        np.testing.assert_allclose(eyes[2:].mean(axis=0), row["left_eye"], atol=1e-3)
        known = np.isfinite(mesh.points_mm[k]).all(axis=1)
        assert known.sum() > 300
        # back through the camera of the stored raster, turned by the roll
        x, y, z = mesh.points_mm[k, known].astype(np.float64).T
        phi = np.radians(row["roll_degrees"])
        right, up = x * np.cos(phi) - y * np.sin(phi), x * np.sin(phi) + y * np.cos(phi)
        scale = row["focal_px"] / -z
        again = row["principal_px"] + np.stack([right * scale, -up * scale], axis=1)
        np.testing.assert_allclose(again, mesh.points_px[k, known], atol=0.02)


def test_without_a_focal_length_nobody_guesses_millimetres(sample_faces, tmp_path):
    mesh = prepared(cald3r(), sample_faces.tree, tmp_path / "out", landmarks=FinderSpec()).landmarks[MESH]
    assert np.isfinite(mesh.points_px).any()
    assert np.isnan(mesh.points_mm).all()


@pytest.mark.parametrize("damage", ["table", "sample", "sample gone"])
def test_damaged_landmarks_are_found_and_made_again(tmp_path, damage):
    raw, out = write_bu3dfe(tmp_path / "raw", "F0001_AN01WH", "F0001_AN02WH"), tmp_path / "out"
    prepared(Bu3dfe(), raw, out, mesh=False)
    whole = snapshot(out)
    table, sample = out / "landmarks" / "bu3dfe-83.npz", out / ".landmarks" / "F0001_AN01WH.npz"
    if damage == "table":
        table.write_bytes(table.read_bytes()[:-100])
        assert check_prepared(out).failed
    elif damage == "sample":
        sample.write_bytes(b"damaged")
    else:
        sample.unlink()
    prepared(Bu3dfe(), raw, out, mesh=False)
    assert snapshot(out) == whole
