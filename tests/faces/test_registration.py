"""Depth that is mirrored, turned or shifted against its colour is noticed, and EXIF is obeyed where depth agrees."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from fer_prep.engines.choice import make_engine
from fer_prep.errors import SampleError
from fer_prep.faces.registration import judge_registration
from fer_prep.formats.images import oriented, read_rgb, write_image
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sources import make_source
from fer_prep.sources.recorded_pair import read_pair


@pytest.fixture(scope="module")
def scenes(sample_faces):
    source = make_source("cald3r")
    return [source.load(sample) for sample in source.list_samples(sample_faces.tree).samples[:8]]


def moved(scene, change):
    """The scene with its depth changed."""
    return replace(
        scene, z_mm=np.ascontiguousarray(change(scene.z_mm)), valid=np.ascontiguousarray(change(scene.valid))
    )


def test_pairs_as_recorded_fit_to_two_pixels(scenes):
    verdict = judge_registration(scenes)
    assert verdict.outcome == "fits"
    assert max(map(abs, verdict.shift_px)) <= 2


@pytest.mark.parametrize(
    ("change", "way"),
    [
        (lambda a: a[:, ::-1], "mirrored left to right"),
        (lambda a: a[::-1], "upside down and mirrored"),
        (lambda a: a[::-1, ::-1], "turned by 180°"),
        (lambda a: np.rot90(a, 3), "turned by 90°"),
        (lambda a: np.rot90(a), "turned by 270°"),
    ],
)
def test_mirrored_and_turned_depth_is_named(scenes, change, way):
    verdict = judge_registration([moved(scene, change) for scene in scenes])
    assert verdict.outcome == "does not fit"
    assert verdict.way == way
    assert way in verdict.text


@pytest.mark.parametrize(("right", "down"), [(40, 0), (0, -20), (-12, 9)])
def test_shifted_depth_is_measured(scenes, right, down):
    verdict = judge_registration([moved(scene, lambda a: np.roll(a, (down, right), (0, 1))) for scene in scenes])
    assert verdict.outcome == "does not fit"
    np.testing.assert_allclose(verdict.shift_px, (right, down), atol=3)
    assert f"{abs(verdict.shift_px[0])} px to the {'right' if right > 0 else 'left'}" in verdict.text or right == 0


def test_what_has_no_edges_in_common_is_not_judged(scenes):
    noise = np.random.default_rng(0)
    pairs = [replace(scene, rgb=noise.integers(0, 255, scene.rgb.shape, np.uint8)) for scene in scenes]
    assert judge_registration(pairs).outcome == "undecided"
    assert judge_registration(scenes[:3]).outcome == "undecided"


def test_preparing_mirrored_depth_warns_with_the_figure(sample_faces, tmp_path):
    for path in sample_faces.tree.rglob("*.png"):
        there = tmp_path / "CalD3r" / path.relative_to(sample_faces.tree)
        there.parent.mkdir(parents=True, exist_ok=True)
        if path.stem.endswith("_Depth"):
            Image.fromarray(np.array(Image.open(path))[:, ::-1]).save(there)
        else:
            there.write_bytes(path.read_bytes())
    settings = PrepareSettings(size=32, framing="none", mesh=False, unfound="keep")
    summary = prepare(
        make_source("cald3r"), root=tmp_path / "CalD3r", out=tmp_path / "out", settings=settings,
        engine=make_engine(workers=0),
    )  # fmt: skip
    assert any("mirrored left to right" in text for text in summary.warnings)


@pytest.mark.parametrize("tag", range(1, 9))
def test_orientation_tags_mean_what_other_programs_take_them_for(tag):
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = tag
    Image.fromarray(picture).save(stream, "PNG", exif=exif)
    shown = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(stream.getvalue()))))
    np.testing.assert_array_equal(oriented(picture, tag), shown)


@pytest.mark.parametrize("depth_is", ["as shown", "as stored"])
@pytest.mark.parametrize("tag", [3, 6, 8])
def test_a_square_photograph_is_turned_as_its_depth_lies(sample_faces, tmp_path, tag, depth_is):
    row = sample_faces.upright()
    rgb, depth = sample_faces.rgb(row), np.array(Image.open(sample_faces.depth_file(row)))
    back = {3: 3, 6: 8, 8: 6}[tag]
    stored = oriented(rgb, back) if depth_is == "as shown" else rgb
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(stored).save(tmp_path / "rgb.png", exif=exif)
    (tmp_path / "depth.png").write_bytes(write_image(depth.astype(np.uint16)))
    scene = read_pair(tmp_path / "rgb.png", depth_file=tmp_path / "depth.png", depth_unit_mm=0.125)
    np.testing.assert_array_equal(scene.rgb, rgb)


def test_alone_a_photograph_is_turned_as_its_tag_says_and_beside_depth_as_its_raster_allows(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / "rgb.png", exif=exif)
    assert read_rgb((tmp_path / "rgb.png").read_bytes()).shape == (40, 60, 3)
    assert read_pair(tmp_path / "rgb.png", depth_unit_mm=1).rgb.shape == (60, 40, 3)
    for shape in ((40, 60), (60, 40), (40, 40)):
        depth = np.random.default_rng(0).integers(500, 900, shape, np.uint16)
        (tmp_path / "depth.png").write_bytes(write_image(depth))
        if shape == (40, 40):
            with pytest.raises(SampleError, match="raster of the picture"):
                read_pair(tmp_path / "rgb.png", depth_file=tmp_path / "depth.png", depth_unit_mm=1)
        else:
            scene = read_pair(tmp_path / "rgb.png", depth_file=tmp_path / "depth.png", depth_unit_mm=1)
            assert scene.rgb.shape[:2] == shape
