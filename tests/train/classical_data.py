"""Datasets in which every block of ``classical`` can see the class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dataset_factories import make_rows
from tiny_training import telling_pixels

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import EMOTIONS
from fer_prep.landmark_set import LandmarkSet
from fer_train.config import Config
from fer_train.settings_file import load_preset, override

SIZE = 48


def write_faces(
    path: Path,
    *,
    subjects: int = 6,
    modalities=("rgb", "depth"),
    landmarks: bool = True,
    alike: bool = False,
) -> Path:
    """A bar in the pictures, and landmarks whose lower half drops, say the class; with ``alike`` nothing does."""
    rows = make_rows({"bu3dfe": subjects // 2, "cald3r": subjects - subjects // 2})
    points = telling_landmarks([0 if alike else int(row["label"]) for row in rows])
    writer = DatasetWriter(path, n=len(rows), size=SIZE, classes=EMOTIONS, modalities=modalities)
    for index, row in enumerate(rows):
        rgb, depth = telling_pixels(0 if alike else int(row["label"]), seed=0 if alike else index, size=SIZE)
        writer.append(measure(row, rgb if "rgb" in modalities else None, depth if "depth" in modalities else None))
    writer.finish(settings={"made_by": "tests"}, landmarks={"mediapipe-468": points} if landmarks else None)
    return path


def telling_landmarks(labels: Sequence[int]) -> LandmarkSet:
    """The same face for every sample, its lower half so many pixels down as its label says."""
    face = np.random.default_rng(0).uniform(10, 38, (468, 2)).astype(np.float32)
    points = np.repeat(face[None], len(labels), axis=0)
    points[:, 234:, 1] += np.array(labels)[:, None]
    return LandmarkSet(names=tuple(str(point) for point in range(468)), points_px=points)


def classical_config(**changes) -> Config:
    """The preset on small pictures; ``model__blocks="hog"`` changes ``model.blocks``."""
    small = {"data.image_size": SIZE, "model.components": 20, "machine.device": "cpu"}
    given = {name.replace("__", "."): value for name, value in changes.items()}
    return override(load_preset("classical"), small | given)
