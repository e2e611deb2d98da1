from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from tiny_training import tiny_config, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.errors import UsageError
from fer_train.analysis.embed import Features, class_separation, embed, features_at_epochs, kept_features
from fer_train.cli.app import app
from fer_train.inference.trained_run import TrainedRun
from fer_train.report.results import train_and_report
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.run_folder import RunFolder

CPU = torch.device("cpu")


def blobs(spread):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    return Features(
        fold=0,
        epoch=None,
        ids=tuple(f"a/{k}" for k in range(60)),
        labels=labels,
        values=(np.eye(5)[labels] * 4 + spread * rng.normal(size=(60, 5))).astype(np.float32),
    )


def test_classes_far_apart_are_drawn_and_counted_apart():
    near, far = embed(blobs(4.0), seed=1), embed(blobs(0.3), seed=1)
    assert far.silhouette > 0.7 > near.silhouette
    assert far.separation > 10 * near.separation
    distances = np.linalg.norm(far.places[:, None] - far.places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (far.of.labels[distances.argmin(axis=1)] == far.of.labels).all()
    np.testing.assert_array_equal(embed(blobs(0.3), seed=1).places, far.places)


def test_separation_by_hand():
    values = np.array([[0.0, 0], [2, 0], [10, 0], [12, 0]])
    # means 1 and 11 around 6: between 4·25, within 4·1
    assert class_separation(values, np.array([0, 0, 1, 1])) == pytest.approx(25)


def test_the_command_draws_every_fold_in_its_own_space(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=4)
    run = untrained_run(tmp_path / "run", data)
    result = CliRunner().invoke(app, ["embed", str(run.path), "--data", str(data), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    with (run.path / "studies" / "embedding.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["id"], int(row["fold"])) for row in rows} == set(
        zip(run.read_predictions().ids, run.read_predictions().folds.tolist(), strict=True)
    )
    content = json.loads((run.path / "studies" / "embedding.json").read_text())
    assert [entry["fold"] for entry in content["embeddings"]] == [0, 1]
    assert (run.path / "studies" / "embedding.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_at_its_last_epoch_the_repeated_training_is_the_kept_network(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=4)
    config = tiny_config(training__validations_per_epoch=1, model__dropout=0.2)
    run = RunFolder(tmp_path / "run")
    train_and_report(data, config=config, folds=FoldChoice(number=2), run=run, only=1)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    trained = TrainedRun.open(run.path, data, device=CPU)
    first, last = features_at_epochs(trained, 1, epochs=[1, 2])
    kept = kept_features(trained, 1)
    assert last.ids == kept.ids
    np.testing.assert_array_equal(last.labels, kept.labels)
    np.testing.assert_allclose(last.values, kept.values, atol=1e-5)
    assert np.abs(first.values - kept.values).max() > 1e-3
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    with pytest.raises(UsageError, match="epochs 1 to 2; asked for 3"):
        features_at_epochs(trained, 1, epochs=[3])
    with pytest.raises(UsageError, match="no trained fold 0"):
        kept_features(trained, 0)
