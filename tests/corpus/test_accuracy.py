"""Against depth cast by another program from the same meshes, on the independent corpus."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_prep.formats.bnt import read_bnt
from fer_prep.formats.images import read_rgb
from fer_prep.formats.vrml import read_vrml
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.geometry.mesh_scene import MeshScene
from fer_prep.prepare.prepare_sample import load_view
from fer_prep.sample import Frame, Sample, Scene, view_suffix
from fer_prep.sources.bu3dfe import Bu3dfe

pytestmark = pytest.mark.corpus

SIZE = 512
SCANS = ("bs000_N_N_0", "bs000_YR_R20_0", "bs001_LFAU_9_0", "bs000_E_SURPRISE_0")


def on_truth_rays(scene: Scene, *, half_mm: float) -> Frame:
    """The frame whose pixels are those of the truth: ± ``half_mm`` in x and y."""
    whole = scene.view(np.eye(2, 3), size=8)
    ratio = whole.mm_per_pixel * SIZE / (2 * half_mm)
    corner = np.array(whole.origin_mm) + whole.mm_per_pixel / 2 * np.array([-1, 1])
    shift = np.array([corner[0] + half_mm, half_mm - corner[1]]) * SIZE / (2 * half_mm)
    return scene.view(np.column_stack([ratio * np.eye(2), shift]), size=SIZE)


def grown(mask: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def test_bu3dfe_depth_is_the_mesh_itself(corpus: Path) -> None:
    for path in sorted((corpus / "truth_depth").glob("[FM][0-9]*WH.npy")):
        stem = corpus / "BU3DFE" / path.stem[:5] / f"{path.stem}_F3D"
        mesh = read_vrml(stem.with_suffix(".wrl").read_bytes())
        assert mesh.uv_corners is not None
        scene = MeshScene(
            mesh.vertices,
            faces=mesh.faces,
            uv_corners=mesh.uv_corners,
            texture=read_rgb(stem.with_suffix(".bmp").read_bytes()),
            landmarks_mm={},
        )
        frame, truth = on_truth_rays(scene, half_mm=110.0), np.load(path)
        there = np.isfinite(truth)
        apart_mm = np.abs(frame.z_mm - truth)[frame.valid & there]
        assert np.median(apart_mm) <= 0.02
        assert np.percentile(apart_mm, 99) <= 0.3
        # silhouettes within one pixel, both ways
        assert not (frame.valid & ~grown(there)).any()
        assert not (there & ~grown(frame.valid)).any()


def test_bosphorus_depth_is_the_head_behind_the_noise(corpus: Path) -> None:
    for name in SCANS:
        stem = corpus / "BosphorusDB" / name[:5] / name
        grid = read_bnt(stem.with_suffix(".bnt").read_bytes())
        scene = GridScene(
            grid.points_mm,
            image_uv=grid.image_uv,
            valid=grid.valid,
            picture=read_rgb(stem.with_suffix(".png").read_bytes()),
            landmarks_mm={},
        )
        frame, truth = on_truth_rays(scene, half_mm=125.0), np.load(corpus / "truth_depth" / f"{name}.npy")
        both = frame.valid & np.isfinite(truth)
        apart_mm = np.abs(frame.z_mm - truth)[both]
        assert np.median(apart_mm) <= 0.1
        assert np.percentile(apart_mm, 95) <= 0.4
        assert both.sum() >= 0.92 * np.isfinite(truth).sum()  # the sensor sees nothing behind chin and nose


def test_views_are_what_rays_meet_on_the_turned_mesh(corpus: Path) -> None:
    with (corpus / "truth_views.csv").open() as stream:
        turned = [row for row in csv.DictReader(stream) if "@" in row["sample"]]
    assert turned
    for row in turned:
        name = row["source"]
        files = {
            role: corpus / "BU3DFE" / name[:5] / f"{name}_F3D.{suffix}"
            for role, suffix in (("mesh", "wrl"), ("landmarks", "bnd"), ("texture", "bmp"))
        }
        sample = Sample(
            id=f"bu3dfe/{row['sample']}", dataset="bu3dfe", subject=name[:5], emotion="neutral", label_source="posed",
            source_file="", files=files, yaw_degrees=int(row["yaw_degrees"]), pitch_degrees=int(row["pitch_degrees"]),
        )  # fmt: skip
        assert sample.id.endswith(view_suffix(sample.yaw_degrees, sample.pitch_degrees))
        frame = on_truth_rays(load_view(sample, source=Bu3dfe()), half_mm=110.0)
        truth = np.load(corpus / row["truth_depth"])
        there = np.isfinite(truth)
        apart_mm = np.abs(frame.z_mm - truth)[frame.valid & there]
        assert np.median(apart_mm) <= 0.02
        assert np.percentile(apart_mm, 99) <= 0.3
        assert not (frame.valid & ~grown(there)).any()
        assert not (there & ~grown(frame.valid)).any()
