"""What the numbers of a run are, in words: for the page and the terminal. Read without loading PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fer_train.metrics.registry import Metric, majority_class


def in_words(summary: Mapping[str, Any], metric: Metric) -> str:
    """What kind of numbers the mean and the interval of a metric are, and of how many."""
    folds, ends = len(summary["folds"]), summary[metric.key]["ci95"]
    mean = f"mean and standard deviation of {folds} folds; " if folds > 1 else ""
    pooled = f"all {summary['samples']} answers together: {metric.text(summary['pooled'][metric.key])}"
    if ends is None:
        return f"{mean}{pooled}; no interval: {summary['subjects']} people are too few"
    return f"{mean}{pooled}, 95 % interval over {summary['subjects']} people {metric.range_text(ends)}"


def majority_in_words(confusion: ArrayLike, classes: Sequence[str]) -> str:
    """What no network is needed for; ``confusion`` (K, K)."""
    label, share = majority_class(np.asarray(confusion, np.float64))
    return f"Always answering {classes[label]}, the most frequent class, gives {share:.1f} % overall accuracy."
