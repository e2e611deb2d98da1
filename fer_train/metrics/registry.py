"""What is measured of predictions: a metric is a function and its entry in ``METRICS``.

Everything that shows metrics goes through ``METRICS``, in this order: ``summary.json``, the tables at the terminal,
``compare``, ``evaluate``, ``tune --metric`` and the report. The first two are the headline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import UsageError

CALIBRATION_BINS: Final = 15
NONE: Final = "–"
"""What stands where there is no number."""


@final
@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of a set of predictions. It has one function, of the one kind or the other."""

    key: str
    """Its name in ``summary.json`` and on the command line."""
    name: str
    better: Literal["higher", "lower"]
    unit: str = "%"
    of_confusion: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    """(…, K, K) counts, truth down and prediction across → (…): many confusion matrices at once."""
    of_answers: Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]], float] | None = None
    """``labels`` (n,), ``predicted`` (n,), ``probabilities`` (n, K) → a number."""

    def __post_init__(self) -> None:
        if (self.of_confusion is None) == (self.of_answers is None):
            raise ValueError(f"metric {self.key}: expected one of of_confusion and of_answers")

    def __call__(self, labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> float:
        """Of ``labels`` (n,) and ``probabilities`` (n, K)."""
        predicted = probabilities.argmax(axis=1)
        if self.of_answers is not None:
            return self.of_answers(labels, predicted, np.asarray(probabilities, np.float64))
        return float(self.values(confusion_matrix(labels, predicted, classes=probabilities.shape[1])[None])[0])

    def values(self, confusions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(R, K, K) → (R,); for a metric of confusion matrices."""
        if self.of_confusion is None:
            raise TypeError(f"{self.key} is no function of confusion matrices")
        return self.of_confusion(confusions)

    @property
    def title(self) -> str:
        """The head of a column: an arrow says where less is better."""
        return f"{self.name}{' ↓' if self.better == 'lower' else ''} {self.unit}".rstrip()

    def text(self, value: float | None, *, sign: bool = False) -> str:
        """A value with as many digits as mean something, without its unit; a dash where there is none."""
        return NONE if value is None else f"{value:{'+' if sign else ''}.{1 if self.unit == '%' else 3}f}"

    def mean_text(self, spread: Mapping[str, Any]) -> str:
        """``mean`` ± ``std``; the mean alone where one value has no deviation."""
        mean, std = self.text(spread["mean"]), spread["std"]
        return mean if std is None else f"{mean} ± {self.text(std)}"

    def range_text(self, ends: Sequence[float] | None, *, sign: bool = False) -> str:
        """Both ends of an interval; a dash where there is none."""
        return NONE if ends is None else " to ".join(self.text(end, sign=sign) for end in ends)


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], *, classes: int) -> NDArray[np.float64]:
    """(K, K) counts: rows are true classes, columns predicted ones."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(float)


def majority_class(confusion: NDArray[np.float64]) -> tuple[int, float]:
    """The most frequent true class of (K, K) counts, and the overall accuracy in percent of always answering it."""
    truth = confusion.sum(axis=1)
    return int(truth.argmax()), float(100 * truth.max() / truth.sum())


def missing_classes(confusion: NDArray[np.float64], classes: Sequence[str]) -> list[str]:
    """A sentence where some of the ``classes`` of (K, K) counts have no sample: means over classes leave them out."""
    truth = confusion.sum(axis=1)
    absent = [name for name, count in zip(classes, truth, strict=True) if not count]
    if not absent:
        return []
    left = len(classes) - len(absent)
    return [f"No sample of {', '.join(absent)} was judged: what is averaged over classes is so over the other {left}."]


def overall_accuracy(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Trace over sum, in percent (thesis 2.23)."""
    return _percent(np.trace(confusions, axis1=-2, axis2=-1), confusions.sum(axis=(-2, -1)))


def average_accuracy(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the classes that occur of the share that is recognised, in percent (thesis 2.24)."""
    return _mean_over_classes(_percent(_hits(confusions), confusions.sum(axis=-1)))


def macro_f1(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the classes that occur of F1 = 2 hits / (truth + prediction), in percent; never predicted counts 0."""
    truth, called = confusions.sum(axis=-1), confusions.sum(axis=-2)
    scores = _percent(2 * _hits(confusions), truth + called)
    return _mean_over_classes(np.where(truth > 0, scores, np.nan))


def calibration_error(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> float:
    """Expected calibration error in percent: over equal bins of the top probability, |accuracy − confidence| weighted
    by the share of the samples (Guo et al., "On calibration of modern neural networks", ICML 2017, eq. 3).
    """
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=(predicted == labels) - confidence, minlength=CALIBRATION_BINS)
    return 100 * float(np.abs(gaps).sum()) / len(labels)


METRICS: Final[tuple[Metric, ...]] = (
    Metric(key="overall_accuracy", name="overall accuracy", better="higher", of_confusion=overall_accuracy),
    Metric(key="average_accuracy", name="average accuracy", better="higher", of_confusion=average_accuracy),
    Metric(key="macro_f1", name="macro F1", better="higher", of_confusion=macro_f1),
    Metric(key="calibration_error", name="calibration error", better="lower", of_answers=calibration_error),
)


def metric_called(key: str) -> Metric:
    """A metric by its key; an unknown one is a UsageError with those there are."""
    for metric in METRICS:
        if metric.key == key:
            return metric
    raise UsageError(f"unknown metric {key!r}; legal: {', '.join(metric.key for metric in METRICS)}")


def score(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> dict[str, float]:
    """Key → value of every metric, of ``labels`` (n,) dense class index and ``probabilities`` (n, K) that sum to 1."""
    if not len(labels) or len(probabilities) != len(labels):
        raise ValueError(f"expected as many predictions as labels, at least one; found {probabilities.shape}")
    return {metric.key: metric(labels, probabilities) for metric in METRICS}


def _hits(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diagonal(confusions, axis1=-2, axis2=-1)


def _percent(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN where there is nothing."""
    return np.divide(100.0 * part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _mean_over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, K) → (…), without the NaN of classes that do not occur; NaN where none does."""
    known = ~np.isnan(values)
    return np.divide(
        np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1),
        out=np.full(values.shape[:-1], np.nan), where=known.any(axis=-1),
    )  # fmt: skip
