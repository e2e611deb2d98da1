"""Faces of people that this project did not make: found, upright, and of the size that their depth says."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_prep.faces.depth_unit import check_depth_unit
from fer_prep.faces.framing import framing_matrix
from fer_prep.faces.landmarks import make_finder
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.landmark_names import eye_centres
from fer_prep.sources.cald3r_mend3s import RgbdPairs

pytestmark = pytest.mark.corpus


def test_faces_are_found_and_become_upright(corpus: Path):
    """At least 97 % found; roll left after alignment: median at most 1°, 95th percentile at most 4°."""
    with (corpus / "truth.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] in ("CalD3r", "MenD3s")]
    finder = make_finder("mediapipe")
    roll_left, eye_errors_px = [], []
    for row in rows:
        rgb = np.ascontiguousarray(cv2.imread(str(corpus / row["image"]))[..., ::-1])
        nowhere = np.zeros(rgb.shape[:2], bool)
        scene = PictureScene(rgb=rgb, z_mm=np.full(nowhere.shape, np.nan, np.float32), valid=nowhere)
        landmarks = finder.find(scene, sample=None)
        if landmarks is None:
            continue
        framing = framing_matrix("rotate", landmarks, raster_size=(224, 224), size=260)
        roll_left.append(abs(float(row["roll_deg"]) - framing.roll_degrees))
        true_left = np.array([float(row["left_eye_x"]), float(row["left_eye_y"])])
        eye_errors_px.append(np.hypot(*(eye_centres(landmarks.points)[0] - true_left)))
    assert len(roll_left) >= 0.97 * len(rows)
    assert np.median(roll_left) <= 1
    assert np.percentile(roll_left, 95) <= 4
    assert np.median(eye_errors_px) <= 2.5


def test_the_trees_have_eighths_of_a_millimetre(corpus: Path):
    for dataset in ("CalD3r", "MenD3s"):
        for unit_mm, outcome in ((0.125, "plausible"), (1.0, "implausible"), (0.1, "doubtful")):
            source = RgbdPairs(dataset=dataset.lower(), depth_unit_mm=unit_mm)
            samples = source.list_samples(corpus / dataset).samples[::2]
            verdict = check_depth_unit(source.load, samples, finder=make_finder("mediapipe"), depth_unit_mm=unit_mm)
            assert verdict.outcome == outcome
            assert verdict.explaining_unit_mm == 0.125
