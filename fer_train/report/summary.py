"""``summary.json``: the numbers of a cross-validation, from the out-of-fold predictions.

The headline is the end of every fold's training. The best point of a fold is shown beside it and named so: it was
chosen with the answers in hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import FoldManifest, subjects_on_both_sides
from fer_train.config import Config
from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import METRICS, confusion_matrix, missing_classes, score
from fer_train.metrics.resampling import AnswersByPerson, interval
from fer_train.training.fold import FoldResult
from fer_train.training.initial_weights import begun_in_words

GROUP_COLUMNS: Final = ("dataset", "gender", "intensity", "label_source")


def gather_predictions(results: Sequence[FoldResult], *, classes: tuple[str, ...]) -> Predictions:
    """All folds' judgements, ordered by fold and then by sample id."""
    order = [(result, int(place)) for result in results for place in np.argsort(np.array(result.ids), kind="stable")]
    return Predictions(
        classes=classes,
        ids=tuple(result.ids[place] for result, place in order),
        folds=np.array([result.index for result, _ in order], np.int64),
        labels=np.array([result.labels[place] for result, place in order], np.int64),
        probabilities=np.array([result.probabilities[place] for result, place in order]),
    )


def summarise(
    results: Sequence[FoldResult],
    *,
    predictions: Predictions,
    manifest: FoldManifest,
    data: DatasetFile,
    config: Config,
) -> dict[str, Any]:
    """The content of ``summary.json``: of every metric mean and deviation over folds and an interval over people."""
    folds = [_fold_entry(result) for result in results]
    rows = data.rows_of(predictions.ids)
    subjects = data.column("subject")[rows]
    answers = AnswersByPerson.of(predictions, subjects)
    # always the same draws
    intervals = {metric.key: interval(metric, answers, rng=np.random.default_rng(0)) for metric in METRICS}
    counts = confusion_matrix(predictions.labels, predictions.predicted, classes=len(predictions.classes))
    leaking = subjects_on_both_sides(manifest, data)
    chosen = "its inner split chose" if config.training.inner_split else "its last epoch left"
    return {
        "name": config.name,
        "protocol": manifest.protocol,
        "group_by": manifest.group_by,
        "classes": list(predictions.classes),
        "samples": len(predictions.ids),
        "subjects": answers.people,
        "data_digest": data.data_digest,
        "headline": _headline(config, chosen),
        "folds": folds,
        **{key: spread(folds, key) | {"ci95": ends} for key, ends in intervals.items()},
        "loss": spread(folds, "loss"),
        "best_validation_point": {
            "overall_accuracy": spread([fold["best"] for fold in folds], "overall_accuracy"),
            "note": "chosen with the answers in hand: not a result",
        },
        "pooled": predictions.scores,
        "confusion_matrix": counts.astype(int).tolist(),
        "confusion_matrix_mean": _mean_confusion([fold["confusion_matrix"] for fold in folds]),
        "per_class": _per_class(counts, predictions.classes),
        "groups": {
            column: _by_group(predictions, data.column(column)[rows], subjects=subjects) for column in GROUP_COLUMNS
        },
        "subjects_on_both_sides": leaking,
        "warnings": _warnings(manifest, leaking, counts),
    }


def _fold_entry(result: FoldResult) -> dict[str, Any]:
    validated = [row for row in result.history if "val_overall_accuracy" in row]
    scores = score(result.labels, result.probabilities)
    # the end is a point too: a network that is fitted at once has no other, and discriminants beside one speak there
    end = {
        "val_overall_accuracy": scores["overall_accuracy"],
        "val_average_accuracy": scores["average_accuracy"],
        "epoch": result.history[-1]["epoch"] if result.history else 0.0,
    }
    best = max([*validated, end], key=lambda row: row["val_overall_accuracy"])
    predicted, classes = result.probabilities.argmax(axis=1), result.probabilities.shape[1]
    return {
        "index": result.index,
        **scores,
        "loss": result.loss,
        "train_samples": result.train_samples,
        "val_samples": len(result.labels),
        "steps": len(result.history),
        "best": {
            "overall_accuracy": best["val_overall_accuracy"],
            "average_accuracy": best["val_average_accuracy"],
            "epoch": best["epoch"],
        },
        "confusion_matrix": confusion_matrix(result.labels, predicted, classes=classes).astype(int).tolist(),
    }


def spread(entries: Sequence[Mapping[str, Any]], name: str) -> dict[str, float | None]:
    """Mean and sample standard deviation over the folds; one fold has none."""
    values = np.array([entry[name] for entry in entries], np.float64)
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else None}


def over_seeds(summaries: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """``summary.json``'s ``seeds``: seed → its summary, as means over folds, their mean and deviation over seeds."""
    means = [{metric.key: summary[metric.key]["mean"] for metric in METRICS} for summary in summaries.values()]
    spreads = {
        metric.key: spread(means, metric.key) | {"each": [one[metric.key] for one in means]} for metric in METRICS
    }
    return {"values": list(summaries), **spreads}


def _headline(config: Config, chosen: str) -> str:
    """What the numbers of the folds are, in sentences."""
    sentences = [f"Every fold is judged with the weights that {chosen}.", begun_in_words(config)]
    if config.model.with_classical:
        sentences.append(
            "Its answer is the mean of the network's and of classical's, weighted as people held out of the training "
            "say; the curves of the training and the lines of its epochs are of the network alone."
        )
    return " ".join(filter(None, sentences))


def _mean_confusion(counts: Sequence[list[list[int]]]) -> list[list[float]]:
    """(K, K) mean over the folds of the percentages of each true class; a fold without the class has no say in it."""
    folds = np.array(counts, np.float64)  # (F, K, K)
    sizes = folds.sum(axis=2, keepdims=True)
    shares = np.divide(100 * folds, sizes, out=np.zeros_like(folds), where=sizes > 0)
    having = np.maximum((sizes > 0).sum(axis=0), 1)  # (K, 1)
    return (shares.sum(axis=0) / having).tolist()


def _per_class(counts: NDArray[np.float64], classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Recall, precision and number of samples of each class, None for a share of nothing; ``counts`` (K, K)."""
    hits, truth, called = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    return {
        name: {
            "recall": float(100 * hits[k] / truth[k]) if truth[k] else None,
            "precision": float(100 * hits[k] / called[k]) if called[k] else None,
            "samples": int(truth[k]),
        }
        for k, name in enumerate(classes)
    }


def _by_group(
    predictions: Predictions, values: NDArray[Any], *, subjects: NDArray[np.str_]
) -> dict[str, dict[str, Any]]:
    """Scores of the samples that share a value (a dataset, a gender …), of how many people and classes they are."""
    found: dict[str, dict[str, Any]] = {}
    for value in np.unique(values):
        chosen = values == value
        counts = {"samples": chosen.sum(), "subjects": len(np.unique(subjects[chosen]))}
        counts["classes"] = len(np.unique(predictions.labels[chosen]))
        found[str(value)] = {name: int(count) for name, count in counts.items()} | predictions.only(chosen).scores
    return found


def _warnings(manifest: FoldManifest, leaking: Sequence[int], counts: NDArray[np.float64]) -> list[str]:
    """What a reader of the numbers must know."""
    warnings = missing_classes(counts, manifest.classes)
    if any(leaking):
        warnings.append(
            f"The protocol {manifest.protocol} has people on both sides of a fold ({max(leaking)} of the judged people "
            "in the worst fold were also trained on): the numbers say how well known faces are read, not new ones."
        )
    return warnings
