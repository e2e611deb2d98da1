"""The losses of the thesis by name. A new one is one file here and one line in ``LOSSES``."""

from __future__ import annotations

import inspect
from typing import Any, Final

from torch import Tensor

from fer_prep.errors import UsageError
from fer_train.losses.base import ExpressionLoss, balanced_class_weights
from fer_train.losses.center import CenterLoss
from fer_train.losses.cross_entropy import CrossEntropyLoss
from fer_train.losses.focal import FocalLoss
from fer_train.losses.hinge import SquaredHingeLoss
from fer_train.losses.island import IslandLoss

__all__ = ["LOSSES", "ExpressionLoss", "balanced_class_weights", "make_loss"]

LOSSES: Final[dict[str, type[ExpressionLoss]]] = {
    "cross-entropy": CrossEntropyLoss,
    "hinge": SquaredHingeLoss,
    "center": CenterLoss,
    "island": IslandLoss,
    "focal": FocalLoss,
}


def make_loss(
    name: str, *, classes: int, feature_width: int, class_weights: Tensor | None = None, **settings: Any
) -> ExpressionLoss:
    """Build a loss by name; ``settings`` are its own (``gamma`` …); an unknown one is a UsageError."""
    if name not in LOSSES:
        raise UsageError(f"unknown loss {name!r}; legal: {', '.join(LOSSES)}")
    legal = set(inspect.signature(LOSSES[name]).parameters)
    if "feature_width" in legal:
        settings["feature_width"] = feature_width
    unknown = [key for key in settings if key not in legal]
    if unknown:
        own = sorted(legal - {"classes", "feature_width", "class_weights"})
        raise UsageError(f"the {name} loss has no setting {unknown[0]!r}; legal: {', '.join(own)}")
    return LOSSES[name](classes=classes, class_weights=class_weights, **settings)
