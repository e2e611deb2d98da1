from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from dataset_factories import make_rows, write_global
from tiny_training import tiny_config, write_telling_data

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FoldsError, UsageError
from fer_prep.folds.splits import make_folds, write_folds
from fer_train.environment import choose_device
from fer_train.inference.evaluate import evaluate
from fer_train.inference.predictor import Predictor
from fer_train.report.results import train_and_report
from fer_train.training.cross_validate import FoldChoice, choose_folds
from fer_train.training.run_folder import RunFolder, read_history

LEARNING = {
    "training__epochs": 6,
    "training__micro_batch_size": 12,
    "training__validations_per_epoch": 1,
    "loss__name": "cross-entropy",
    "augmentation__rotation_degrees": 0.0,
    "augmentation__erase": 0.0,
}


def run_kfold(folder, data, **changes):
    config = tiny_config(**LEARNING | changes)
    run = RunFolder(folder)
    return run, train_and_report(data, config=config, folds=FoldChoice(number=2), run=run)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on data in which the class can be seen: (run folder, its summary, the data's path)."""
    folder = tmp_path_factory.mktemp("kfold")
    data = write_telling_data(folder / "global.h5", subjects=8, repeats=2)
    return *run_kfold(folder / "run", data), data


def test_the_run_folder_has_everything_the_contract_names(finished):
    run, _, _ = finished
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    expected = {"config.toml", "folds.json", "environment.json", "summary.json", "predictions.csv", "report.html"}
    fold_files = {"model.safetensors", "config.json", "history.csv", "last.ckpt"}
    expected |= {f"fold-{index}/{name}" for index in (0, 1) for name in fold_files}
    assert expected <= files
    drawn = ("confusion", "confusion-counts", "confusion-mean", "curves", "classes", "embedding", "grad-cam-right")
    assert {f"figures/{name}.png" for name in drawn} <= files
    for index in (0, 1):
        assert any(name.startswith(f"fold-{index}/events.out.tfevents") for name in files)
    assert not any(name.endswith(".part") for name in files)


def test_what_can_be_seen_is_learned_across_people(finished):
    _, summary, _ = finished
    assert summary["overall_accuracy"]["mean"] > 2.5 * 100 / 7
    low, high = summary["overall_accuracy"]["ci95"]
    assert 0 <= low <= summary["pooled"]["overall_accuracy"] <= high <= 100


@pytest.mark.slow
def test_with_shuffled_labels_it_falls_to_chance(tmp_path):
    """The whole way, from file to summary: nothing of a judged sample may reach training."""
    data = write_telling_data(tmp_path / "global.h5", subjects=8, repeats=2, shuffle_labels=True)
    _, summary = run_kfold(tmp_path / "run", data)
    low, _ = summary["overall_accuracy"]["ci95"]
    assert low < 100 / 7 + 5
    assert summary["overall_accuracy"]["mean"] < 2 * 100 / 7


def test_the_summary_follows_from_the_predictions(finished):
    run, summary, data = finished
    with (run.path / "predictions.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with DatasetFile.open(data) as file:
        assert sorted(row["id"] for row in rows) == sorted(file.ids.tolist())
    for index, fold in enumerate(summary["folds"]):
        mine = [row for row in rows if row["fold"] == str(index)]
        hits = [row["label"] == row["predicted"] for row in mine]
        assert fold["overall_accuracy"] == pytest.approx(100 * np.mean(hits))
        recalls = [np.mean([h for h, row in zip(hits, mine, strict=True) if row["label"] == str(k)]) for k in range(7)]
        assert fold["average_accuracy"] == pytest.approx(100 * np.mean(recalls))
    values = [fold["overall_accuracy"] for fold in summary["folds"]]
    assert summary["overall_accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert summary["overall_accuracy"]["std"] == pytest.approx(np.std(values, ddof=1))
    counts = np.array([fold["confusion_matrix"] for fold in summary["folds"]])
    np.testing.assert_array_equal(summary["confusion_matrix"], counts.sum(axis=0))
    assert np.array(summary["confusion_matrix"]).sum() == len(rows)
    mean = (100 * counts / counts.sum(axis=2, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(summary["confusion_matrix_mean"], mean)
    assert set(summary["groups"]) == {"dataset", "gender", "intensity", "label_source"}
    assert sum(group["samples"] for group in summary["groups"]["gender"].values()) == len(rows)


def test_the_headline_is_the_last_point_and_the_best_is_named_so(finished):
    run, summary, _ = finished
    for index, fold in enumerate(summary["folds"]):
        points = [row for row in read_history(run.fold(index) / "history.csv") if "val_overall_accuracy" in row]
        assert fold["overall_accuracy"] == pytest.approx(points[-1]["val_overall_accuracy"], abs=1e-3)
        assert fold["best"]["overall_accuracy"] == pytest.approx(
            max(p["val_overall_accuracy"] for p in points), abs=1e-3
        )
    assert "not a result" in summary["best_validation_point"]["note"]


def test_normalisation_knows_the_training_side_only(finished):
    run, _, data = finished
    folds = json.loads(run.folds_file.read_text())["folds"]
    with DatasetFile.open(data) as file:
        sums = file.statistics(file.rows_of(folds[0]["train"]))
    stored = json.loads((run.fold(0) / "config.json").read_text())["normalisation"]
    assert stored["rgb"]["mean"] == pytest.approx((sums.rgb.mean / 255).tolist(), rel=1e-5)


def test_the_report_needs_no_other_file(finished):
    run, summary, _ = finished
    page = run.report.read_text(encoding="utf-8")
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data:image/png;base64,") >= 5
    assert all(f"<h2>{title}</h2>" in page for title in ("Confusion matrix", "Training", "Features", "Where it looks"))
    assert f"{summary['overall_accuracy']['mean']:.1f} ±" in page
    assert str(run.path) not in page


def test_folds_beside_the_data_are_taken_unless_another_number_is_wanted(tmp_path):
    path = write_telling_data(tmp_path / "global.h5", subjects=6)
    said = []
    with DatasetFile.open(path) as data:
        write_folds(make_folds(data, folds=3, seed=9), tmp_path / "global.folds.json", data=data)
        assert choose_folds(data, folds=FoldChoice(), say=said.append).seed == 9
        assert choose_folds(data, folds=FoldChoice(number=3), say=said.append).seed == 9
        other = choose_folds(data, folds=FoldChoice(number=2), say=said.append)
    assert (len(other.folds), other.protocol) == (2, "subject-kfold")
    assert "making 2" in said[-1]


def test_a_manifest_of_other_data_is_refused(tmp_path):
    one = write_telling_data(tmp_path / "one.h5", subjects=6)
    other = write_telling_data(tmp_path / "other.h5", subjects=4)
    with DatasetFile.open(one) as data:
        write_folds(make_folds(data, folds=2), tmp_path / "one.folds.json", data=data)
    with DatasetFile.open(other) as data, pytest.raises(FoldsError, match="other data"):
        choose_folds(data, folds=FoldChoice(manifest=tmp_path / "one.folds.json"), say=lambda text: None)


def test_the_judges_of_new_people_read_expressions_too(finished, tmp_path):
    run, _, _ = finished
    other = write_telling_data(tmp_path / "other.h5", subjects=2, repeats=5)
    with DatasetFile.open(other) as data:
        shared = set(data.ids.tolist()) & set(run.read_predictions().ids)
    assert shared  # the same ids: refused, because these could be the people trained on
    with pytest.raises(UsageError, match="people that were trained on by this run"):
        evaluate(run.path, other, device=choose_device("cpu"))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(UsageError, match="found no trained model"):
        Predictor.load(tmp_path, device=choose_device("cpu"))


def test_too_few_people_for_the_folds_are_said_with_the_number_that_works(tmp_path):
    place = write_global(tmp_path / "g.h5", make_rows({"lab": 3}))
    with DatasetFile.open(place) as data, pytest.raises(FoldsError, match="at least 5 subjects") as caught:
        choose_folds(data, folds=FoldChoice(number=5), say=lambda text: None)
    assert caught.value.hint == "3 folds are possible: --folds 3"
