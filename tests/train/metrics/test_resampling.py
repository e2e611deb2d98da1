"""Intervals and tests over people, against slow and plain ways to the same numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import Metric, metric_called
from fer_train.metrics.resampling import AnswersByPerson, holm, interval, paired_difference

CLASSES = ("anger", "disgust", "fear")
OVERALL, AVERAGE, CALIBRATION = map(metric_called, ("overall_accuracy", "average_accuracy", "calibration_error"))


def answers_of(people: int, *, seed: int = 0, skill: tuple[float, float] = (0.2, 1.0)) -> AnswersByPerson:
    """Every person has an accuracy of their own, as real people do, and 12 samples."""
    rng = np.random.default_rng(seed)
    count = 12 * people
    labels = np.arange(count) % 3
    right = rng.random(count) < np.repeat(rng.uniform(*skill, people), 12)
    predicted = np.where(right, labels, (labels + 1) % 3)
    predictions = Predictions(
        classes=CLASSES,
        ids=tuple(f"a/{k}" for k in range(count)),
        folds=np.zeros(count, np.int64),
        labels=labels,
        probabilities=0.1 + 0.7 * np.eye(3)[predicted],
    )
    return AnswersByPerson.of(predictions, np.repeat([f"a:{k:03d}" for k in range(people)], 12))


def slow_value(metric: Metric, answers: AnswersByPerson, people: np.ndarray) -> float:
    """The samples of these people put together, those of a person drawn twice twice."""
    rows = np.concatenate([np.flatnonzero(answers.person == person) for person in people])
    return metric(answers.predictions.labels[rows], answers.predictions.probabilities[rows])


@pytest.mark.parametrize("metric", [AVERAGE, CALIBRATION], ids=lambda metric: metric.key)
def test_the_interval_agrees_with_drawing_people_one_by_one(metric):
    answers, rng = answers_of(15), np.random.default_rng(1)
    values = [slow_value(metric, answers, rng.integers(0, 15, 15)) for _ in range(1000)]
    found = interval(metric, answers, rng=rng, rounds=4000)
    assert found == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=2)


def test_the_interval_is_wider_than_if_samples_were_independent():
    answers = answers_of(20)
    alone = AnswersByPerson.of(answers.predictions, np.arange(240).astype(str))
    people, samples = (interval(OVERALL, each, rng=np.random.default_rng(0)) for each in (answers, alone))
    assert people[0] < answers.value(OVERALL) < people[1]
    assert people[1] - people[0] > 1.3 * (samples[1] - samples[0])


@pytest.mark.parametrize("metric", [OVERALL, CALIBRATION], ids=lambda metric: metric.key)
def test_p_is_the_share_of_all_exchanges_of_people(metric):
    """Against every one of the 2^6 exchanges, counted one by one from the single answers."""
    a, b = answers_of(6, seed=5, skill=(0.3, 0.5)), answers_of(6, seed=6, skill=(0.5, 0.9))
    found = paired_difference(metric, a, b, rng=np.random.default_rng(0), rounds=20_000)

    def difference(changed):
        swap = np.isin(a.person, changed)[:, None]
        one, other = a.predictions.probabilities, b.predictions.probabilities
        ours, theirs = np.where(swap, other, one), np.where(swap, one, other)
        return metric(a.predictions.labels, theirs) - metric(a.predictions.labels, ours)

    groups = itertools.chain.from_iterable(itertools.combinations(range(6), count) for count in range(7))
    exact = np.mean([abs(difference(group)) >= abs(difference([])) - 1e-9 for group in groups])
    assert found.difference == pytest.approx(difference([]))
    assert found.p == pytest.approx(exact, abs=0.04)


def test_the_same_answers_are_equal():
    found = paired_difference(AVERAGE, answers_of(6), answers_of(6), rng=np.random.default_rng(0), rounds=200)
    assert (found.difference, found.ci95, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_a_sample_judged_twice_weighs_as_much_as_one_judged_once():
    once = answers_of(6)
    rows = np.tile(np.arange(72), 2)
    twice = AnswersByPerson.of(once.predictions.only(rows), once.person[rows].astype(str))
    np.testing.assert_allclose(twice.confusions, once.confusions)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
