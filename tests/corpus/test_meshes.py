"""Meshes of other scanners on the independent corpus: unit, axes and depth against their truth."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from fer_prep.sample import Sample
from fer_prep.sources.any_mesh import load_mesh

pytestmark = pytest.mark.corpus

SIZE = 512
HALF_MM = 110.0


def test_unit_axes_and_depth_of_other_scanners_meshes(corpus: Path) -> None:
    with (corpus / "truth_meshes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 14
    compared = 0
    for row in rows:
        path = corpus / row["file"]
        sample = Sample(
            id="obj/a", dataset="obj", subject="obj:a", emotion="anger", label_source="posed", source_file=path.name,
            files={"mesh": path},
        )  # fmt: skip
        scene = load_mesh(sample, renderer="open3d")
        unit = {1.0: "mm", 1000.0: "m"}[float(row["unit_mm"])]
        turn = {"y": {}, "z": {"turned upright by": "90°"}}[row["up"]]
        assert scene.set_right == {"measured in": unit, **turn}, path
        if not row["truth_depth"]:
            continue
        truth = np.load(corpus / row["truth_depth"])
        whole = scene.view(np.eye(2, 3), size=8)
        corner = np.array(whole.origin_mm) + whole.mm_per_pixel / 2 * np.array([-1, 1])
        centre = np.array([float(row["window_x"]), float(row["window_y"])])
        scale = whole.mm_per_pixel * SIZE / (2 * HALF_MM)
        shift = (corner - centre) * (1, -1) * SIZE / (2 * HALF_MM) + SIZE / 2
        seen = scene.view(np.column_stack([scale * np.eye(2), shift]), size=SIZE)
        both = seen.valid & np.isfinite(truth)
        assert both.sum() > 0.98 * np.isfinite(truth).sum(), path
        assert np.median(np.abs(seen.z_mm - truth)[both]) < 0.02, path
        compared += 1
    assert compared
