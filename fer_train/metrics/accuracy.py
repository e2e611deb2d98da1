"""How good the predictions are: accuracies, F1, confusion, calibration, and how sure one can be of them.

Accuracies, F1 and calibration error are in percent. Standard metrics come from scikit-learn and torchmetrics.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from sklearn.metrics import f1_score
from torchmetrics.functional.classification import multiclass_calibration_error

CALIBRATION_BINS: Final = 15

Statistic = Literal["overall_accuracy", "average_accuracy"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The figures of one set of predictions."""

    samples: int
    overall_accuracy: float
    """Thesis 2.23 as meant: correct predictions among all, in percent."""
    average_accuracy: float
    """Thesis 2.24 as meant: mean over the classes of the share of the class that is recognised, in percent."""
    macro_f1: float
    """Mean over the classes of F1, in percent."""
    calibration_error: float
    """Expected calibration error (Guo et al. 2017, ``CALIBRATION_BINS`` bins of the top probability), in percent."""
    confusion: list[list[int]]
    """(K, K): rows are true classes, columns predicted ones."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def score(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> Scores:
    """Score predictions: ``labels`` (N,) dense class index, ``probabilities`` (N, K) that sum to 1.

    Means over classes run over the classes that occur among ``labels``; a class that does not occur has no accuracy.
    """
    labels = np.asarray(labels, np.int64)
    if not len(labels) or probabilities.shape[0] != len(labels):
        raise ValueError(f"expected as many predictions as labels, at least one; found {probabilities.shape}")
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, classes=probabilities.shape[1])
    present = np.flatnonzero(confusion.sum(axis=1))
    return Scores(
        samples=len(labels),
        overall_accuracy=overall_accuracy(confusion),
        average_accuracy=average_accuracy(confusion),
        macro_f1=_macro_f1(labels, predicted, present),
        calibration_error=calibration_error(labels, probabilities),
        confusion=confusion.tolist(),
    )


def _macro_f1(labels: NDArray[np.int64], predicted: NDArray[np.int64], present: NDArray[np.int64]) -> float:
    zero: Any = 0.0  # a class that is never predicted has F1 0; scikit-learn's stubs know only "warn"
    return 100.0 * float(f1_score(labels, predicted, labels=present, average="macro", zero_division=zero))


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], *, classes: int) -> NDArray[np.int64]:
    """(K, K) counts: rows are true classes, columns predicted ones."""
    return sklearn_confusion_matrix(labels, predicted, labels=np.arange(classes)).astype(np.int64)


def overall_accuracy(confusion: NDArray[np.int64]) -> float:
    """Trace over sum, in percent (thesis 2.23); NaN where there is no sample."""
    total = confusion.sum()
    return 100.0 * float(np.trace(confusion) / total) if total else float("nan")


def average_accuracy(confusion: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur, in percent (thesis 2.24); NaN where there is no sample."""
    return float(average_accuracies(confusion[None].astype(float))[0])


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> float:
    """Expected calibration error (L1), in percent."""
    error = multiclass_calibration_error(
        torch.from_numpy(np.asarray(probabilities, np.float64)),
        torch.from_numpy(np.asarray(labels, np.int64)),
        num_classes=probabilities.shape[1],
        n_bins=CALIBRATION_BINS,
    )
    return 100.0 * float(error)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval in percent."""

    low: float
    high: float


def subject_bootstrap(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    subjects: NDArray[np.str_],
    *,
    classes: int,
    statistic: Statistic,
    rng: np.random.Generator,
    rounds: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of an accuracy under resampling of *subjects* with replacement (Efron, Tibshirani 1993, §13).

    ``labels``, ``predicted``, ``subjects`` (N,). Samples of one person are alike: resampling samples would make the
    interval too narrow.
    """
    by_subject = _confusion_by_subject(labels, predicted, subjects, classes=classes)  # (S, K, K)
    people = len(by_subject)
    draws = rng.multinomial(people, np.full(people, 1 / people), size=rounds)  # (R, S): how often each is drawn
    resampled = np.tensordot(draws.astype(float), by_subject.astype(float), axes=1)  # (R, K, K)
    of = overall_accuracies if statistic == "overall_accuracy" else average_accuracies
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(of(resampled), [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def _confusion_by_subject(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], subjects: NDArray[np.str_], *, classes: int
) -> NDArray[np.int64]:
    _, person = np.unique(subjects, return_inverse=True)
    counts = np.zeros((person.max() + 1, classes, classes), np.int64)
    np.add.at(counts, (person, labels, predicted), 1)
    return counts


def overall_accuracies(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, K, K) → (R,) in percent."""
    return 100.0 * np.trace(confusions, axis1=1, axis2=2) / confusions.sum(axis=(1, 2))


def average_accuracies(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, K, K) → (R,) in percent, over the classes that occur."""
    correct, count = np.diagonal(confusions, axis1=1, axis2=2), confusions.sum(axis=2)
    recalls = np.divide(correct, count, out=np.zeros_like(correct), where=count > 0)
    present = (count > 0).sum(axis=1)
    return 100.0 * np.divide(recalls.sum(axis=1), present, out=np.full(len(count), np.nan), where=present > 0)
