"""The camera of a photograph is found from the whole face, and its residual says how far depth is off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_prep.errors import SampleError
from fer_prep.formats.vrml import read_vrml
from fer_prep.sample_data import bu3dfe_tree
from fer_prep.sources.bu3dfe import Bu3dfe

SOURCE = Bu3dfe(rgb="photo")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Seven recordings of one person, and the camera of each photograph by its name."""
    root, cameras = tmp_path_factory.mktemp("photo"), {}
    write = bu3dfe_tree.write_scan

    def remembered(base, *args):
        posed, cameras[base.name] = write(base, *args)
        return posed, cameras[base.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bu3dfe_tree, "write_scan", remembered)
        bu3dfe_tree.write_subject(root, 0, rng=np.random.default_rng(7), intensities=(4,))
    return SOURCE.list_samples(root / "BU3DFE").samples, cameras


def test_depth_lies_under_the_photograph_as_well_as_the_residual_says(recordings):
    samples, cameras = recordings
    for sample in samples:
        scene = SOURCE.load(sample)
        vertices = read_vrml(sample.files["mesh"].read_bytes()).vertices
        apart_px = np.linalg.norm(scene.project(vertices) - cameras[sample.name].project(vertices)[:, :2], axis=1)
        assert np.median(apart_px) < 2.5
        assert np.percentile(apart_px, 95) < 6
        assert 0.5 * np.median(apart_px) < scene.registration_residual_px < 4


def test_the_photograph_of_another_expression_is_refused(recordings):
    samples, _ = recordings
    of = {sample.emotion: sample for sample in samples}
    other = {**of["happiness"].files, "photo": of["surprise"].files["photo"]}
    with pytest.raises(SampleError, match="a camera that explains the landmarks"):
        SOURCE.load(replace(of["happiness"], files=other))


def test_landmark_files_are_not_needed_for_the_camera(recordings):
    samples, _ = recordings
    files = {role: path for role, path in samples[0].files.items() if role != "landmarks"}
    assert SOURCE.load(replace(samples[0], files=files)).registration_residual_px < 4
