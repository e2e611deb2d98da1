"""A training small enough for tests: a few pictures in which the class can be seen, and the smallest network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_factories import make_rows

from fer_prep.emotions import EMOTIONS
from fer_prep.global_writer import GlobalWriter, measure
from fer_train.config import Config
from fer_train.settings_file import override

SIZE = 32

TINY = {
    "name": "tiny",
    "data.image_size": SIZE,
    "model.backbone": "test_resnet",
    "model.token_width": 16,
    "model.encoder_depth": 1,
    "model.encoder_heads": 2,
    "model.mlp_width": 16,
    "model.attention_maps": 2,
    "loss.name": "island",
    "optimiser.backbone_rate": 3e-3,
    "optimiser.fusion_rate": 3e-3,
    "training.epochs": 2,
    "training.batch_size": 12,
    "training.micro_batch_size": 5,
    "training.validations_per_epoch": 2,
    "machine.device": "cpu",
    "machine.threads": 1,
}


def tiny_config(**changes) -> Config:
    """The smallest useful settings; ``training__epochs=3`` changes ``training.epochs``."""
    return override(Config(), TINY | {name.replace("__", "."): value for name, value in changes.items()})


def telling_pixels(label: int, *, seed: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """RGB (size, size, 3) and depth (size, size) with a bright, near bar whose height says the class, on noise."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
    depth = rng.integers(15_000, 16_000, (size, size), dtype=np.uint16)
    top = 2 + 4 * label
    rgb[top : top + 3, 6:-6] = 230
    depth[top : top + 3, 6:-6] = 2_000
    depth[:, :2] = 0
    return rgb, depth


def write_telling_data(path: Path, *, subjects: int = 6, repeats: int = 1, shuffle_labels: bool = False) -> Path:
    """A dataset of ``telling_pixels``; with ``shuffle_labels`` the labels no longer belong to the pictures."""
    rows = make_rows({"bu3dfe": subjects // 2, "cald3r": subjects - subjects // 2}, repeats=repeats)
    seen = np.array([row["label"] for row in rows])
    if shuffle_labels:
        np.random.default_rng(5).shuffle(seen)
    writer = GlobalWriter(path, n=len(rows), size=SIZE, classes=EMOTIONS)
    for index, (row, label) in enumerate(zip(rows, seen, strict=True)):
        writer.append(measure(row, *telling_pixels(int(label), seed=index)))
    writer.finish(settings={"made_by": "tests"})
    return path
