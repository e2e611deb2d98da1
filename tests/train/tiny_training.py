"""A training small enough for tests: a few pictures in which the class can be seen, and the smallest network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dataset_factories import make_rows

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import EMOTIONS
from fer_prep.folds.splits import make_folds, write_folds
from fer_train.config import Config
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.normalise import FoldNormalisation
from fer_train.inference.predictor import Predictor
from fer_train.metrics.predictions import Predictions
from fer_train.models.model_file import build_network, describe, save_model
from fer_train.report.results import write_summary
from fer_train.settings_file import override
from fer_train.training.cross_validate import CrossValidation
from fer_train.training.fold import FoldResult
from fer_train.training.run_folder import RunFolder, Task

SIZE = 32

TINY = {
    "name": "tiny",
    "data.image_size": SIZE,
    "model.inputs": "rgb,depth",
    "model.weights": "",
    "model.backbone": "test_resnet",
    "model.fusion": "attention",
    "model.spatial_attention": "lanet",
    "model.token_width": 16,
    "model.encoder_depth": 1,
    "model.encoder_heads": 2,
    "model.mlp_width": 16,
    "model.attention_maps": 2,
    "model.with_classical": False,
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


def as_options(settings: dict[str, Any]) -> list[str]:
    """``--set`` for each setting, as it is typed."""
    words = (("--set", f"{name}={json.dumps(value)}") for name, value in settings.items() if name != "name")
    return [word for pair in words for word in pair]


def tiny_config(**changes) -> Config:
    """The smallest useful settings; ``training__epochs=3`` changes ``training.epochs``."""
    return override(Config(), TINY | {name.replace("__", "."): value for name, value in changes.items()})


def telling_pixels(label: int, *, seed: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """RGB (size, size, 3) and depth (size, size) with a bright, near bar whose height says the class, on noise."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
    depth = rng.integers(13_000, 14_000, (size, size), dtype=np.uint16)
    top = 2 + 4 * label
    rgb[top : top + 3, 6:-6] = 230
    depth[top : top + 3, 6:-6] = 1  # the nearest point, by definition
    depth[:, :2] = 0
    return rgb, depth


def write_telling_data(
    path: Path, *, subjects: int = 6, repeats: int = 1, shuffle_labels: bool = False, size: int = SIZE
) -> Path:
    """A dataset of ``telling_pixels``; with ``shuffle_labels`` the labels no longer belong to the pictures."""
    rows = make_rows({"bu3dfe": subjects // 2, "cald3r": subjects - subjects // 2}, repeats=repeats)
    seen = np.array([row["label"] for row in rows])
    if shuffle_labels:
        np.random.default_rng(5).shuffle(seen)
    writer = DatasetWriter(path, n=len(rows), size=size, classes=EMOTIONS)
    for index, (row, label) in enumerate(zip(rows, seen, strict=True)):
        writer.append(measure(row, *telling_pixels(int(label), seed=index, size=size)))
    writer.finish(settings={"made_by": "tests"})
    return path


def untrained_run(folder: Path, data: Path, *, folds: int = 2, **changes) -> RunFolder:
    """A run folder as a finished run leaves it, with networks that have learned nothing: made in a second."""
    config = tiny_config(**changes)
    run = RunFolder(folder)
    run.begin(config, Task(data))
    inputs = config.model.input_names
    images = ImageDataset(data, inputs=inputs, image_size=SIZE)
    manifest = make_folds(images.file, folds=folds)
    write_folds(manifest, run.folds_file, data=images.file)
    results = []
    for index, fold in enumerate(manifest.folds):
        torch.manual_seed(index)
        train, settings = images.rows_of(fold.train), asdict(config.data)
        normalisation = FoldNormalisation.fit(images, train, inputs=inputs, settings=settings)
        network = build_network(config.model, classes=len(images.classes), image_size=SIZE, pretrained=False)
        people = images.file.column("subject")[images.rows_of(fold.train)].tolist()
        description = describe(config, classes=images.classes, normalisation=normalisation, people=people)
        save_model(run.fold(index), network.state_dict(), description=description)
        rows = images.rows_of(fold.val)
        predictor = Predictor.load(run.fold(index), device=images.device)
        point = {"step": 1, "epoch": 1.0, "val_overall_accuracy": 0.0, "val_average_accuracy": 0.0}
        results.append(
            FoldResult(
                index=index,
                ids=fold.val,
                labels=images.labels[rows].numpy(),
                probabilities=predictor.judge(images, rows.numpy()),
                loss=0.0,
                history=[point],
                train_samples=len(fold.train),
            )
        )
    write_summary(run, CrossValidation(results=results, manifest=manifest, data=images))
    return run


def judged_by(run: RunFolder, fold: int) -> Predictions:
    """What one fold of a run says about the samples that it judged."""
    predictions = run.read_predictions()
    return predictions.only(predictions.folds == fold)
