"""The losses of the thesis by name. A new one is one file here and one line in ``LOSSES``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from fer_prep.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from fer_train.config import LossSettings
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
    settings: LossSettings, *, classes: int, feature_width: int, class_weights: Tensor | None = None
) -> ExpressionLoss:
    """The loss of these settings."""
    kind = loss_class(settings.name)
    if settings.targets == "soft" and not kind.takes_shares:
        raise UsageError(
            f"loss.targets = 'soft': the {settings.name} loss has no form for shares of classes",
            hint="cross-entropy, center and island have one",
        )
    return kind(settings, classes=classes, feature_width=feature_width, class_weights=class_weights)
