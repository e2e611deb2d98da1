"""Views of a recording: one drawn an epoch, the frontal one judged, the others beside it, all on one side."""

from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest
import torch
from dataset_factories import make_rows, write_dataset
from tiny_training import SIZE, telling_pixels, tiny_config
from training_on_rows import open_tiny

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.folds.splits import make_folds, read_folds
from fer_train.config import TrainingSettings
from fer_train.environment import choose_device
from fer_train.inference.evaluate import evaluate
from fer_train.metrics.predictions import Predictions
from fer_train.report.results import train_and_report
from fer_train.report.views import by_yaw
from fer_train.settings_file import load_preset, override
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.fold import fold_rows
from fer_train.training.run_folder import RunFolder
from fer_train.training.steps import Steps

TURNS = {"": (0.0, 0.0), "@y+30p+0": (30.0, 0.0), "@y-30p+0": (-30.0, 0.0), "@y+30p-10": (30.0, -10.0)}
SHORT = {"training__epochs": 1, "training__validations_per_epoch": 1, "training__micro_batch_size": 12}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """42 recordings of six people, each seen from four sides."""
    rows = [
        {**row, "id": row["id"] + view, "yaw_degrees": yaw, "pitch_degrees": pitch}
        for row in make_rows({"bu3dfe": 3, "cald3r": 3})
        for view, (yaw, pitch) in TURNS.items()
    ]
    rows.sort(key=lambda row: row["id"])
    place = tmp_path_factory.mktemp("views") / "global.h5"
    writer = DatasetWriter(place, n=len(rows), size=SIZE)
    for index, row in enumerate(rows):
        writer.append(measure(row, *telling_pixels(int(row["label"]), seed=index)))
    writer.finish(settings={})
    return place


@pytest.fixture(scope="module")
def run(path, tmp_path_factory):
    made = RunFolder(tmp_path_factory.mktemp("run") / "run")
    train_and_report(path, config=tiny_config(**SHORT), folds=FoldChoice(number=2), run=made)
    return made


def recording(name: str) -> str:
    return name.partition("@")[0]


def epochs(path, *, views: bool, seed: int = 7):
    data = open_tiny(path)
    with DatasetFile.open(path) as file:
        fold = make_folds(file, folds=2).fold(0)
    rows = fold_rows(fold.train, fold.val, data=data, views=views)
    settings = TrainingSettings(epochs=8, batch_size=5)
    steps = Steps(rows.train, settings=settings, seed=seed, views=rows.views)
    return fold, [
        [data.ids[row] for step in range(steps.per_epoch) for row in steps.samples(epoch * steps.per_epoch + step)]
        for epoch in range(settings.epochs)
    ]


def test_an_epoch_has_every_recording_once_by_a_view_of_its_own(path):
    fold, seen = epochs(path, views=True)
    expected = sorted({recording(name) for name in fold.train})
    for ids in seen:
        assert sorted(map(recording, ids)) == expected
    views = Counter(name[len(recording(name)) :] for ids in seen for name in ids)
    total = sum(views.values())
    assert set(views) == set(TURNS)
    assert all(0.15 < count / total < 0.35 for count in views.values())
    by_recording = {name: {ids[[*map(recording, ids)].index(name)] for ids in seen} for name in expected}
    assert all(len(drawn) > 1 for drawn in by_recording.values())


def test_what_is_drawn_follows_from_seed_and_epoch(path):
    assert epochs(path, views=True) == epochs(path, views=True)
    assert epochs(path, views=True)[1] != epochs(path, views=True, seed=8)[1]


def test_without_views_it_learns_of_frontal_ones(path):
    _, seen = epochs(path, views=False)
    assert not any("@" in name for ids in seen for name in ids)


def test_views_of_a_recording_are_on_one_side_of_the_training(run, path):
    with DatasetFile.open(path) as file:
        manifest = read_folds(run.folds_file, data=file)
    for fold in manifest.folds:
        assert not {recording(name) for name in fold.train} & {recording(name) for name in fold.val}


def test_the_headline_is_of_frontal_views_and_the_others_are_beside_it(run, path):
    predictions = run.read_predictions()
    assert not any("@" in name for name in predictions.ids)
    assert len(predictions.ids) == 42
    with (run.path / "views.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 42
    assert {(row["yaw_degrees"], row["pitch_degrees"]) for row in rows} == {
        ("30.0", "0.0"), ("-30.0", "0.0"), ("30.0", "-10.0")
    }  # fmt: skip
    found = json.loads((run.path / "summary.json").read_text())
    assert found["samples"] == 42
    assert [(each["yaw_degrees"], each["samples"]) for each in found["views"]] == [(-30, 42), (0, 42), (30, 84)]
    for each in found["views"]:
        mine = [row["label"] == row["predicted"] for row in rows if float(row["yaw_degrees"]) == each["yaw_degrees"]]
        expected = np.mean(mine) * 100 if mine else found["pooled"]["overall_accuracy"]
        assert each["overall_accuracy"] == pytest.approx(expected)
    assert "<h2>Turned faces</h2>" in run.report.read_text()
    assert (run.figures / "views.png").is_file()


def test_a_turned_face_is_judged_by_the_fold_that_has_not_seen_the_person(run, path):
    judged = run.read_predictions()
    fold_of = dict(zip(judged.ids, judged.folds.tolist(), strict=True))
    with (run.path / "views.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            assert int(row["fold"]) == fold_of[recording(row["id"])]


def test_a_face_that_was_turned_frontally_is_no_view(tmp_path):
    rows = [{**row, "yaw_degrees": 16.2, "pitch_degrees": -3.5} for row in make_rows({"bu3dfe": 3})]
    with DatasetFile.open(write_dataset(tmp_path / "frontal.h5", rows)) as data:
        answers = Predictions(
            classes=data.classes,
            ids=tuple(data.ids.tolist()),
            folds=np.zeros(data.n, np.int64),
            labels=data.labels.astype(np.int64),
            probabilities=np.eye(len(data.classes))[data.labels],
        )
        assert [(each["yaw_degrees"], each["samples"]) for each in by_yaw(answers, data=data)] == [(0, data.n)]


def test_discriminants_learn_of_frontal_views_and_judge_the_others_too(path, tmp_path):
    config = override(load_preset("classical"), {"data.image_size": SIZE, "model.blocks": "hog", "model.components": 5})
    made = RunFolder(tmp_path / "run")
    summary = train_and_report(path, config=config, folds=FoldChoice(number=2), run=made)
    assert [fold["train_samples"] for fold in summary["folds"]] == [21, 21]
    assert len(made.read_predictions().ids) == 42
    assert [each["samples"] for each in summary["views"]] == [42, 42, 84]


def test_evaluate_judges_frontal_views(run, path):
    device = choose_device("cpu")
    report = evaluate(run.fold(0), path, device=device, strangers_only=True).report
    assert (report["samples"], report["left_out_views"]) == (21, 63)
    assert torch.get_num_threads() >= 1
