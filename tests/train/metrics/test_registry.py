"""Metrics against hand-made tables and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from fer_prep.errors import UsageError
from fer_train.metrics.registry import METRICS, confusion_matrix, metric_called, score


def one_hot(predicted: list[int], classes: int, *, certainty: float = 1.0) -> np.ndarray:
    rest = (1 - certainty) / (classes - 1)
    return np.where(np.eye(classes)[predicted] > 0, certainty, rest)


def test_overall_and_average_accuracy_differ_on_uneven_classes():
    labels, predicted = np.array([0] * 8 + [1] * 2), [0] * 8 + [0, 1]
    found = score(labels, one_hot(predicted, 2))
    assert found["overall_accuracy"] == pytest.approx(90.0)
    assert found["average_accuracy"] == pytest.approx(75.0)  # (8/8 + 1/2) / 2
    assert found["macro_f1"] == pytest.approx(100 * (16 / 17 + 2 / 3) / 2)
    assert confusion_matrix(labels, np.array(predicted), classes=2).tolist() == [[8, 0], [1, 1]]


def test_classes_that_do_not_occur_have_no_share_in_the_averages():
    found = score(np.array([0, 0, 2, 2]), one_hot([0, 1, 2, 2], 4))
    assert found["average_accuracy"] == pytest.approx(75.0)
    assert found["macro_f1"] == pytest.approx(100 * (2 / 3 + 1) / 2)


def test_a_class_never_predicted_counts_as_zero():
    assert score(np.array([0, 1]), one_hot([0, 0], 2))["macro_f1"] == pytest.approx(100 * (2 / 3) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels, probabilities = rng.integers(0, 5, 60), rng.dirichlet(np.ones(5), 60)
    predicted, found = probabilities.argmax(axis=1), score(labels, probabilities)
    assert found["overall_accuracy"] == pytest.approx(100 * reference.accuracy_score(labels, predicted))
    assert found["average_accuracy"] == pytest.approx(100 * reference.balanced_accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(
        100 * reference.f1_score(labels, predicted, average="macro", labels=np.unique(labels), zero_division=0)
    )


def test_calibration_error_is_the_gap_between_certainty_and_accuracy():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 4000)
    predicted = np.where(rng.random(4000) < 0.7, labels, (labels + 1) % 4)
    hit = float((predicted == labels).mean())
    for certainty in (0.95, 0.7):
        found = score(labels, one_hot(predicted.tolist(), 4, certainty=certainty))["calibration_error"]
        assert found == pytest.approx(100 * abs(certainty - hit), abs=0.01)


def test_many_confusion_matrices_are_measured_at_once():
    matrices = np.random.default_rng(0).integers(0, 9, (6, 3, 3)).astype(float)
    matrices[2] = 0
    for metric in METRICS:
        if metric.of_confusion is not None:
            together = metric.of_confusion(matrices)
            alone = [metric.of_confusion(each) for each in matrices]
            np.testing.assert_allclose(together, alone)
            assert np.isnan(together[2])  # of nothing there is no number


def test_no_predictions_and_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        score(np.array([], np.int64), np.zeros((0, 3)))
    with pytest.raises(UsageError, match="unknown metric 'accuracy'; legal: overall_accuracy, average_accuracy"):
        metric_called("accuracy")


def test_a_column_says_where_less_is_better():
    titles = {metric.key: metric.title for metric in METRICS}
    assert titles["overall_accuracy"] == "overall accuracy %"
    assert titles["calibration_error"] == "calibration error ↓ %"
