"""The most frequent class, landmarks and ``classical`` beside a network, on its folds; never at its expense."""

from __future__ import annotations

import numpy as np
import pytest
from classical_data import SIZE, classical_config, write_faces
from tiny_training import tiny_config

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import read_folds
from fer_train.metrics.registry import METRICS
from fer_train.report.results import train_and_report
from fer_train.report.words import not_beaten_in_words
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.run_folder import RunFolder


def trained(data, out, *, config=None, beside=True, only=None) -> RunFolder:
    config = config or tiny_config(data__image_size=SIZE, training__epochs=1)
    run = RunFolder(out)
    train_and_report(data, config=config, folds=FoldChoice(number=2), run=run, baselines=beside, only=only)
    return run


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("data") / "global.h5", subjects=8)


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    return trained(faces, tmp_path_factory.mktemp("runs") / "tiny")


def test_each_has_its_scores_and_how_much_better_the_network_is(run):
    summary = run.read_summary()
    assert list(summary["baselines"]) == ["majority", "landmarks", "classical"]
    for entry in summary["baselines"].values():
        for metric in METRICS[:2]:
            assert set(entry[metric.key]) == {"mean", "std", "ci95"}
        lead = summary["overall_accuracy"]["mean"] - entry["overall_accuracy"]["mean"]
        low, high = entry["difference"]["ci95"]
        assert entry["difference"]["mean"] == pytest.approx(lead)
        assert low <= lead <= high
    assert summary["baselines"]["classical"]["overall_accuracy"]["mean"] > 90


def test_the_majority_is_that_of_the_training_part(run, faces):
    with DatasetFile.open(faces) as data:
        folds = read_folds(run.folds_file, data=data).folds
        hits = []
        for fold in folds:
            train, judged = (data.labels[data.rows_of(ids)] for ids in (fold.train, fold.val))
            hits.append(100 * (judged == np.bincount(train).argmax()).mean())
    assert run.read_summary()["baselines"]["majority"]["overall_accuracy"]["mean"] == pytest.approx(np.mean(hits))


def test_a_network_that_is_no_better_is_told_so_in_one_sentence(run):
    sentence = not_beaten_in_words(run.read_summary())
    assert sentence.startswith("On these folds tiny does not beat: ")
    assert "landmarks" in sentence
    assert sentence in run.report.read_text().replace("&#39;", "'")


def test_a_network_that_beats_them_all_is_told_nothing(run):
    summary = run.read_summary()
    for entry in summary["baselines"].values():
        entry["difference"] = {"mean": 5.0, "ci95": [1.0, 9.0]}
    assert not_beaten_in_words(summary) == ""


def test_one_fold_has_them_too(faces, tmp_path):
    beside = trained(faces, tmp_path / "run", only=1).read_summary()["baselines"]
    assert beside["classical"]["overall_accuracy"]["std"] is None
    assert "difference" in beside["landmarks"]


def test_they_can_be_left_out(faces, tmp_path):
    assert "baselines" not in trained(faces, tmp_path / "run", beside=False).read_summary()


@pytest.mark.parametrize(
    ("blocks", "left"),
    [("landmarks-2d,hog", ["majority", "landmarks"]), ("landmarks-2d", ["majority"])],
)
def test_the_network_is_not_its_own_baseline(faces, tmp_path, blocks, left):
    run = trained(faces, tmp_path / "run", config=classical_config(model__blocks=blocks))
    assert list(run.read_summary()["baselines"]) == left


def test_without_landmarks_one_is_impossible_and_the_other_is_not(tmp_path):
    beside = trained(write_faces(tmp_path / "g.h5", landmarks=False), tmp_path / "run").read_summary()["baselines"]
    assert "landmarks-2d" in beside["landmarks"]["impossible"]
    assert beside["classical"]["overall_accuracy"]["mean"] > 80


def test_what_cannot_be_fitted_is_named_and_the_training_stands(tmp_path, monkeypatch):
    # of alike pictures a network learns nothing, but it is trained and its report is written
    run = trained(write_faces(tmp_path / "g.h5", alike=True), tmp_path / "run")
    beside = run.read_summary()["baselines"]
    assert [name for name, entry in beside.items() if "alike" in entry.get("impossible", "")] == [
        "landmarks",
        "classical",
    ]
    assert "impossible" in run.report.read_text()


def test_what_takes_too_long_is_impossible(run, faces, tmp_path, monkeypatch):
    monkeypatch.setattr("fer_train.report.results.FEWEST_SECONDS", 1e-9)
    beside = trained(faces, tmp_path / "run").read_summary()["baselines"]
    assert "s allowed" in beside["classical"]["impossible"]
