"""The losses of the thesis by name. A new one is one file here and one line in ``LOSSES``."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from fer_prep.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from fer_train.losses.base import ExpressionLoss

LOSSES: Final[dict[str, str]] = {
    "cross-entropy": "fer_train.losses.cross_entropy:CrossEntropyLoss",
    "hinge": "fer_train.losses.hinge:SquaredHingeLoss",
    "center": "fer_train.losses.center:CenterLoss",
    "island": "fer_train.losses.island:IslandLoss",
    "focal": "fer_train.losses.focal:FocalLoss",
}
"""Name → ``module:class``, imported when it is asked for: settings are read without loading torch."""


def loss_class(name: str) -> type[ExpressionLoss]:
    """The class of a loss; an unknown name is a UsageError."""
    if name not in LOSSES:
        raise UsageError(f"unknown loss {name!r}; legal: {', '.join(LOSSES)}")
    module, _, class_name = LOSSES[name].partition(":")
    return getattr(import_module(module), class_name)


def make_loss(
    name: str, *, classes: int, feature_width: int, class_weights: Tensor | None = None, **settings: Any
) -> ExpressionLoss:
    """Build a loss by name; ``settings`` are its own (``gamma`` …); an unknown one is a UsageError."""
    kind = loss_class(name)
    legal = set(inspect.signature(kind).parameters)
    if "feature_width" in legal:
        settings["feature_width"] = feature_width
    unknown = [key for key in settings if key not in legal]
    if unknown:
        own = sorted(legal - {"classes", "feature_width", "class_weights"})
        raise UsageError(f"the {name} loss has no setting {unknown[0]!r}; legal: {', '.join(own)}")
    return kind(classes=classes, class_weights=class_weights, **settings)
