"""How a search for settings goes about it; apart from the search, so that ``--help`` loads neither torch nor Optuna."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fer_prep.options import option
from fer_train.metrics.registry import METRICS, metric_called


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How to search."""

    trials: int = option(30, min=1)
    """Trials in all, finished or given up, whoever runs them."""
    folds: int = option(3, min=2)
    """Subject-disjoint folds a trial is judged by."""
    holdout: float = option(0.2, min=0, max=0.5)
    """Share of the data, whole people, that the search never sees; 0 is none."""
    metric: str = option("average_accuracy", names=[metric.key for metric in METRICS])
    """What to search by: a key of summary.json."""
    sampler: Literal["random", "tpe"] = "random"
    """random (as in the thesis) or tpe."""
    prune: bool = True
    """Give a trial up when its mean over folds falls behind the median."""
    seed: int = 0
    """Seeds folds, people held out and what is tried."""

    def __post_init__(self) -> None:
        metric_called(self.metric)
