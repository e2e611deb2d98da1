"""Every file of the independent corpus reads, and means what its truth says."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.bnt import read_bnt
from fer_prep.formats.bosphorus_landmarks import read_lm2, read_lm3
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.formats.vrml import read_vrml
from fer_prep.sources import make_source
from fer_prep.sources.bu3dfe import Bu3dfe

pytestmark = pytest.mark.corpus

TREES = {"bu3dfe": "BU3DFE", "bosphorus": "BosphorusDB", "cald3r": "CalD3r", "mend3s": "MenD3s"}


def files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.rglob(pattern))
    assert found
    return found


def test_meshes_and_their_landmarks(corpus: Path):
    for path in files(corpus / "BU3DFE", "*.wrl"):
        mesh = read_vrml(path.read_bytes())
        assert len(mesh.faces) > 10_000
        assert mesh.uv_corners is not None
    assert {read_bnd(path.read_bytes()).points_mm.shape for path in files(corpus / "BU3DFE", "*.bnd")} == {(83, 3)}


def test_scans_and_their_landmarks(corpus: Path):
    for path in files(corpus, "*.bnt"):
        grid = read_bnt(path.read_bytes())
        assert grid.valid.mean() > 0.2
        assert Path(grid.image_name).stem == path.stem
        assert grid.points_mm[..., 1][grid.valid][0] > grid.points_mm[..., 1][grid.valid][-1]
    for pattern, reader, width in (("*.lm2", read_lm2, 2), ("*.lm3", read_lm3, 3)):
        for path in files(corpus, pattern):
            table = reader(path.read_bytes())
            assert len(table) >= 15
            assert {point.shape for point in table.values()} == {(width,)}


def test_pictures(corpus: Path):
    for path in [*files(corpus, "*.png"), *files(corpus / "BU3DFE", "*.bmp")][::4]:
        reader = read_depth if path.stem.endswith("_Depth") else read_rgb
        assert reader(path.read_bytes()).any()


KEPT = ("", "lm3", "lm2+lm3")
"""What a recording may lack and still be kept: landmarks are looked for in its picture then."""


def test_samples_and_labels_are_those_of_the_truth(corpus: Path):
    with (corpus / "truth.csv").open(newline="") as stream:
        truth = [row for row in csv.DictReader(stream) if row["emotion"]]
    for dataset, folder in TREES.items():
        rows = [row for row in truth if row["dataset"].lower() == dataset]
        listing = make_source(dataset).list_samples(corpus / folder)
        whole = {row["sample"]: row for row in rows if row["missing"] in KEPT}
        assert {sample.name: sample.emotion for sample in listing.samples} == {
            name: row["emotion"] for name, row in whole.items()
        }
        rejected = {row.sample_id.partition("/")[2] for row in listing.rejected}
        assert rejected == {row["sample"] for row in rows} - set(whole)
        if dataset == "bu3dfe":
            intensities = Counter(int(row["intensity"]) for row in whole.values())
            assert Counter(sample.intensity for sample in listing.samples) == intensities


def test_the_photograph_is_registered(corpus: Path):
    source = Bu3dfe(rgb="photo")
    scene = source.load(source.list_samples(corpus / "BU3DFE").samples[0])
    assert scene.rgb_source == "photo"
    assert 0 < scene.registration_residual_px < 8
