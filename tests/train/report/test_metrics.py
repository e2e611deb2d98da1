"""Metrics against hand-made tables and plain loops; the interval covers what it should."""

from __future__ import annotations

import numpy as np
import pytest

from fer_train.metrics.accuracy import (
    average_accuracy,
    calibration_error,
    confusion_matrix,
    overall_accuracy,
    score,
    subject_bootstrap,
)


def one_hot(predicted: list[int], classes: int, *, certainty: float = 1.0) -> np.ndarray:
    rest = (1 - certainty) / (classes - 1)
    return np.where(np.eye(classes)[predicted] > 0, certainty, rest)


def test_overall_and_average_accuracy_differ_on_uneven_classes():
    labels = [0] * 8 + [1] * 2
    predicted = [0] * 8 + [0, 1]
    found = score(np.array(labels), one_hot(predicted, 2))
    assert found.overall_accuracy == pytest.approx(90.0)
    assert found.average_accuracy == pytest.approx(75.0)  # (8/8 + 1/2) / 2
    assert found.macro_f1 == pytest.approx(100 * (16 / 17 + 2 / 3) / 2)
    assert found.confusion == [[8, 0], [1, 1]]
    assert found.samples == 10


def test_classes_that_do_not_occur_have_no_share_in_the_average():
    found = score(np.array([0, 0, 2, 2]), one_hot([0, 1, 2, 2], 4))
    assert found.average_accuracy == pytest.approx(75.0)
    assert found.macro_f1 == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert np.array(found.confusion).shape == (4, 4)


def test_a_class_never_predicted_counts_as_zero():
    assert score(np.array([0, 1]), one_hot([0, 0], 2)).macro_f1 == pytest.approx(100 * (2 / 3) / 2)


def test_calibration_error_is_the_gap_between_certainty_and_accuracy():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 4000)
    predicted = np.where(rng.random(4000) < 0.7, labels, (labels + 1) % 4)
    sure, honest = (one_hot(predicted.tolist(), 4, certainty=c) for c in (0.95, 0.7))
    hit = float((predicted == labels).mean())
    assert calibration_error(labels, sure) == pytest.approx(100 * (0.95 - hit), abs=0.01)
    assert calibration_error(labels, honest) == pytest.approx(100 * abs(0.7 - hit), abs=0.01)


def test_accuracies_of_nothing_are_not_numbers():
    empty = np.zeros((3, 3), np.int64)
    assert np.isnan(overall_accuracy(empty))
    assert np.isnan(average_accuracy(empty))
    with pytest.raises(ValueError, match="at least one"):
        score(np.array([], np.int64), np.zeros((0, 3)))


def slow_bootstrap(labels, predicted, subjects, *, rng, rounds) -> tuple[float, float]:
    """Draw people by name, put their samples together, count."""
    people, values = np.unique(subjects), []
    for _ in range(rounds):
        chosen = [np.flatnonzero(subjects == name) for name in rng.choice(people, len(people))]
        rows = np.concatenate(chosen)
        values.append(average_accuracy(confusion_matrix(labels[rows], predicted[rows], classes=3)))
    return tuple(np.quantile(values, [0.025, 0.975]))


def make_predictions(*, people: int, seed: int = 0):
    """Every person has an accuracy of their own, as real people do."""
    rng = np.random.default_rng(seed)
    subjects = np.repeat([f"bu3dfe:F{person:04d}" for person in range(people)], 12)
    labels = np.tile(np.arange(12) % 3, people)
    skill = np.repeat(rng.uniform(0.2, 1.0, people), 12)
    predicted = np.where(rng.random(len(labels)) < skill, labels, (labels + 1) % 3)
    return labels, predicted, subjects


def test_bootstrap_agrees_with_drawing_people_one_by_one():
    labels, predicted, subjects = make_predictions(people=15)
    rng = np.random.default_rng(1)
    found = subject_bootstrap(
        labels, predicted, subjects, classes=3, statistic="average_accuracy", rng=rng, rounds=4000
    )
    low, high = slow_bootstrap(labels, predicted, subjects, rng=rng, rounds=1000)
    assert found.low == pytest.approx(low, abs=1.5)
    assert found.high == pytest.approx(high, abs=1.5)


def test_the_interval_is_wider_than_if_samples_were_independent():
    labels, predicted, subjects = make_predictions(people=20)
    kind = {"classes": 3, "statistic": "overall_accuracy"}
    of_people = subject_bootstrap(labels, predicted, subjects, rng=np.random.default_rng(0), **kind)
    alone = np.arange(len(labels)).astype(str)
    of_samples = subject_bootstrap(labels, predicted, alone, rng=np.random.default_rng(0), **kind)
    accuracy = 100 * (labels == predicted).mean()
    assert of_people.low < accuracy < of_people.high
    assert of_people.high - of_people.low > 1.3 * (of_samples.high - of_samples.low)


def test_the_interval_follows_from_the_generator_given():
    labels, predicted, subjects = make_predictions(people=5)
    again = [
        subject_bootstrap(
            labels, predicted, subjects, classes=3, statistic="average_accuracy", rng=np.random.default_rng(4)
        )
        for _ in range(2)
    ]
    assert again[0] == again[1]
