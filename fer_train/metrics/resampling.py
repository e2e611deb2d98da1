"""How sure one can be of a metric: people, not samples, are what a result must carry over to.

Samples of one person are alike, so a person is one unit of everything here:

- interval: people are drawn with replacement, the same draw for both of two runs (Efron, Tibshirani 1993, §13);
- test: were two runs equally good, a person's two sets of answers could be exchanged. p is the share of random
  exchanges that make a difference at least as large as the one seen, never 0 (Phipson, Smyth 2010, eq. 2), adjusted
  for the number of runs compared with the first (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import Metric

MOST_ROUNDS_OF_ANSWERS: Final = 1000
"""Of a metric that is worked out anew from the answers in every round: it takes a thousand times as long as one of
confusion matrices."""
CONFIDENCE: Final = 0.95
FEWEST_PEOPLE: Final = 6
"""With fewer there is no interval: exchanging the answers of five people (2^5 ways) tells nothing apart at 5 %."""


@final
@dataclass(frozen=True, kw_only=True)
class AnswersByPerson:
    """Predictions, and which of S people each is of; a sample that was judged n times weighs 1/n each time."""

    predictions: Predictions
    person: NDArray[np.int64]
    """(n,) from 0 to S − 1, every person at least once."""
    weight: NDArray[np.float64]
    """(n,)."""

    @classmethod
    def of(cls, predictions: Predictions, subjects: NDArray[np.str_]) -> AnswersByPerson:
        """``subjects`` (n,): whose samples they are."""
        _, sample, times = np.unique(np.array(predictions.ids), return_inverse=True, return_counts=True)
        _, person = np.unique(subjects, return_inverse=True)
        return cls(predictions=predictions, person=person, weight=1 / times[sample])

    @property
    def people(self) -> int:
        """S."""
        return int(self.person.max()) + 1

    @cached_property
    def confusions(self) -> NDArray[np.float64]:
        """(S, K, K): one confusion matrix a person."""
        classes = len(self.predictions.classes)
        counts = np.zeros((self.people, classes, classes))
        np.add.at(counts, (self.person, self.predictions.labels, self.predictions.predicted), self.weight)
        return counts

    def value(self, metric: Metric) -> float:
        """Of all people."""
        return float(_values(metric, (self, np.ones((1, self.people), np.int64)))[0])


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much larger a metric is of one run than of the first, in the metric's unit."""

    difference: float
    ci95: tuple[float, float] | None
    """None of fewer than ``FEWEST_PEOPLE``."""
    p: float
    """Two-sided."""
    p_adjusted: float
    """After Holm, over the runs compared with the first."""


def interval(
    metric: Metric, answers: AnswersByPerson, *, rng: np.random.Generator, rounds: int = 2000
) -> tuple[float, float] | None:
    """The 95 % percentile interval under resampling of people; None of fewer than ``FEWEST_PEOPLE``."""
    if answers.people < FEWEST_PEOPLE:
        return None
    draws = _draws(answers.people, rng=rng, rounds=_rounds(metric, rounds))
    return _middle(_values(metric, (answers, draws)))


def paired_difference(
    metric: Metric, first: AnswersByPerson, second: AnswersByPerson, *, rng: np.random.Generator, rounds: int = 10_000
) -> Difference:
    """``second`` minus ``first`` for the same people, with interval and p; ``p_adjusted`` is not adjusted yet."""
    people, rounds = first.people, _rounds(metric, rounds)
    seen = second.value(metric) - first.value(metric)
    draws = _draws(people, rng=rng, rounds=rounds)
    resampled = _values(metric, (second, draws)) - _values(metric, (first, draws))
    moved = rng.integers(0, 2, (rounds, people))  # 1 where a person's answers change sides
    exchanged = _values(metric, (second, 1 - moved), (first, moved)) - _values(
        metric, (first, 1 - moved), (second, moved)
    )
    # the tolerance takes differences that rounding alone tells apart for equal
    as_large = int((np.abs(exchanged) >= abs(seen) - 1e-9).sum())
    p = (as_large + 1) / (rounds + 1)
    return Difference(difference=seen, ci95=_middle(resampled) if people >= FEWEST_PEOPLE else None, p=p, p_adjusted=p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of several tests, in the given order (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _values(metric: Metric, *parts: tuple[AnswersByPerson, NDArray[np.int64]]) -> NDArray[np.float64]:
    """(R,) the metric of all parts together; times (R, S) says how often each person's answers count in a part."""
    if metric.of_confusion is not None:
        return metric.of_confusion(
            np.sum([np.tensordot(times.astype(float), each.confusions, axes=1) for each, times in parts], axis=0)
        )
    labels = np.concatenate([each.predictions.labels for each, _ in parts])
    probabilities = np.concatenate([each.predictions.probabilities for each, _ in parts])
    found: list[float] = []
    for round_number in range(len(parts[0][1])):
        times = np.concatenate([times[round_number, each.person] for each, times in parts])
        rows = np.repeat(np.arange(len(labels)), times)
        found.append(metric(labels[rows], probabilities[rows]))
    return np.array(found)


def _rounds(metric: Metric, rounds: int) -> int:
    return rounds if metric.of_confusion is not None else min(rounds, MOST_ROUNDS_OF_ANSWERS)


def _draws(people: int, *, rng: np.random.Generator, rounds: int) -> NDArray[np.int64]:
    """(R, S): how often each person is drawn."""
    return rng.multinomial(people, np.full(people, 1 / people), size=rounds)


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)
