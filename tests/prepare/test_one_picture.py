"""A loose picture is prepared exactly as a dataset's sample is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_prep.errors import FormatError, SampleError
from fer_prep.prepare.prepare_sample import prepare_files, prepare_sample
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sources.cald3r_mend3s import cald3r


def save(path, pixels):
    cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return path


@pytest.mark.parametrize("framing", ["rotate", "eyes"])
def test_the_pixels_are_those_of_the_dataset(sample_faces, framing):
    source = cald3r()
    sample = source.list_samples(sample_faces.tree).samples[0]
    settings = PrepareSettings(size=96, framing=framing)
    expected = prepare_sample(sample, source=source, settings=settings)
    files = sample.files
    both = prepare_files(files, framing=framing, size=96)
    np.testing.assert_array_equal(both.rgb, expected.rgb)
    np.testing.assert_array_equal(both.depth, expected.depth)
    alone = prepare_files({"rgb": files["rgb"]}, framing=framing, size=96)
    np.testing.assert_array_equal(alone.rgb, expected.rgb)
    assert alone.depth is None


def test_the_depth_unit_is_that_of_the_camera(tmp_path):
    rgb = save(tmp_path / "c.png", np.zeros((32, 32, 3), np.uint8))
    recorded = np.full((32, 32), 5000, np.uint16)
    recorded[:, 16:] = 5100
    depth = save(tmp_path / "d.png", recorded)
    stored = prepare_files({"rgb": rgb, "depth": depth}, framing="none", size=32, depth_unit_mm=1.0).depth
    assert stored[5, 20] - stored[5, 5] == 100 * 100  # 100 mm in steps of 0.01 mm


def test_what_cannot_be_prepared_is_named(tmp_path):
    grey = save(tmp_path / "grey.png", np.full((64, 64, 3), 127, np.uint8))
    with pytest.raises(SampleError, match="expected a face"):
        prepare_files({"rgb": grey})
    small = save(tmp_path / "small.png", np.ones((8, 8), np.uint16))
    with pytest.raises(SampleError, match="64 × 64; found 8 × 8"):
        prepare_files({"rgb": grey, "depth": small})
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(FormatError, match="PNG, BMP or JPEG"):
        prepare_files({"rgb": tmp_path / "text.png"})


@pytest.mark.parametrize("unit_mm", [1.0, 0.01])
def test_a_unit_that_makes_no_face_is_refused(sample_faces, unit_mm):
    files = cald3r().list_samples(sample_faces.tree).samples[0].files
    with pytest.raises(SampleError, match=f"a face in steps of {unit_mm:g} mm") as caught:
        prepare_files(files, size=96, depth_unit_mm=unit_mm)
    assert caught.value.path == files["depth"]
