"""A number says what it is: of how many, what kind of mean, against which baseline; none where there is none."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from dataset_factories import make_rows
from tiny_training import SIZE, telling_pixels, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_train.cli.app import app
from fer_train.cli.result_table import print_summary
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import METRICS, majority_class, missing_classes
from fer_train.metrics.resampling import FEWEST_PEOPLE, AnswersByPerson, interval, paired_difference
from fer_train.report.results import write_report
from fer_train.report.summary import spread
from fer_train.report.words import in_words, majority_in_words

CPU = torch.device("cpu")


def write_people(path, subjects, *, emotions):
    rows = make_rows(subjects, emotions=emotions)
    writer = DatasetWriter(path, n=len(rows), size=SIZE)
    for index, row in enumerate(rows):
        writer.append(measure(row, *telling_pixels(int(row["label"]), seed=index)))
    writer.finish(settings={})
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    made = untrained_run(folder / "run", write_telling_data(folder / "global.h5", subjects=4))
    made.write_json("environment.json", {"time": "2026-01-01T00:00:00+00:00", "device": {"type": "cpu"}})
    return made


def answers_of(people: int) -> AnswersByPerson:
    labels = np.tile([0, 1, 2], people)
    predictions = Predictions(
        classes=("a", "b", "c"),
        ids=tuple(f"d/{n}" for n in range(3 * people)),
        folds=np.zeros(3 * people, int),
        labels=labels,
        probabilities=np.random.default_rng(0).dirichlet(np.ones(3), 3 * people),
    )
    return AnswersByPerson.of(predictions, np.repeat(np.arange(people).astype(str), 3))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_of_few_people_there_is_no_interval(metric):
    few, enough = answers_of(FEWEST_PEOPLE - 1), answers_of(FEWEST_PEOPLE)
    rng = np.random.default_rng(0)
    assert interval(metric, few, rng=rng, rounds=100) is None
    assert interval(metric, enough, rng=rng, rounds=100) is not None
    assert paired_difference(metric, few, few, rng=rng, rounds=100).ci95 is None
    assert metric.range_text(None) == "–"


def test_one_fold_has_no_deviation():
    assert spread([{"loss": 2.0}], "loss") == {"mean": 2.0, "std": None}
    assert METRICS[0].mean_text({"mean": 52.84, "std": None}) == "52.8"
    assert METRICS[0].mean_text({"mean": 52.84, "std": 3.11}) == "52.8 ± 3.1"


def test_the_baseline_is_the_most_frequent_class():
    counts = np.array([[1, 1, 1], [3, 4, 2], [0, 0, 0]], float)
    assert majority_class(counts) == (1, 75.0)
    assert majority_in_words(counts, ("a", "b", "c")).startswith(
        "Always answering b, the most frequent class, gives 75.0 %"
    )
    [sentence] = missing_classes(counts, ("a", "b", "c"))
    assert "No sample of c" in sentence
    assert "the other 2" in sentence
    assert missing_classes(counts[:2], ("a", "b")) == []


def test_a_mean_of_folds_and_the_answers_together_are_told_apart(run):
    summary = run.read_summary()
    words = in_words(summary, METRICS[0])
    assert words.startswith("mean and standard deviation of 2 folds; all 28 answers together: ")
    assert words.endswith("no interval: 4 people are too few")
    many = summary | {"subjects": 50, "overall_accuracy": summary["overall_accuracy"] | {"ci95": [40.0, 60.0]}}
    assert in_words(many, METRICS[0]).endswith("95 % interval over 50 people 40.0 to 60.0")


def test_the_report_and_the_terminal_say_so(run, tmp_path, capsys):
    """Of a fold alone, in which one class has no sample."""
    place = tmp_path / "run"
    shutil.copytree(run.path, place)
    summary = json.loads((place / "summary.json").read_text())
    counts = np.array(summary["confusion_matrix"])
    counts[6] = 0
    summary["confusion_matrix"] = counts.tolist()
    summary["per_class"]["surprise"] = {"recall": None, "precision": None, "samples": 0}
    summary["warnings"] = missing_classes(counts, summary["classes"])
    summary["folds"] = summary["folds"][:1]
    for metric in METRICS:
        summary[metric.key]["std"] = None
    (place / "summary.json").write_text(json.dumps(summary))
    opened = TrainedRun.open(place, run.path.parent / "global.h5", device=CPU)
    page = write_report(opened).read_text()
    print_summary(summary)
    printed = capsys.readouterr()
    for text in (page, printed.out):
        assert "±" not in text
        assert "all 28 answers together" in text
        assert "people are too few" in text
        assert "Always answering" in text
    for text in (page, printed.err):
        assert "No sample of surprise was judged" in " ".join(text.split())
    assert "Chance" not in page


def test_groups_say_of_how_many_people_and_classes_they_are(run):
    groups = run.read_summary()["groups"]["dataset"]
    assert groups["bu3dfe"]["samples"] == 14
    assert (groups["bu3dfe"]["subjects"], groups["bu3dfe"]["classes"]) == (2, 7)


def test_evaluate_says_of_how_many_and_which_classes_are_missing(run, tmp_path):
    others = write_people(tmp_path / "others.h5", {"bosphorus": 3}, emotions=("anger", "neutral"))
    words = ["evaluate", str(run.path), "--data", str(others), "--device", "cpu"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "No sample of disgust, fear, happiness, sadness, surprise was judged" in " ".join(done.stderr.split())
    assert "over 3 people –" in done.stdout
    assert re.search(r"50\.0[^)]*\(anger\)", done.stdout), "perhaps on two lines of a cell"
    report = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert report["overall_accuracy_ci95"] is None
    assert report["majority"] == {"class": "anger", "overall_accuracy": 50.0}
