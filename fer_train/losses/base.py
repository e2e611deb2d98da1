"""What every loss is: logits, features and labels in, one float32 scalar out; computed outside autocast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from fer_prep.errors import UsageError

if TYPE_CHECKING:
    from fer_train.config import LossSettings


class ExpressionLoss(nn.Module, ABC):
    """A loss over a batch: subclasses give the formula, this checks shapes and keeps the arithmetic in float32.

    D, the width of the features, is ``feature_width``; ``class_weights`` are (K,).
    """

    takes_shares: ClassVar[bool] = False
    """Whether the targets may be shares of the classes, (B, K), where annotators disagree."""

    class_weights: Tensor | None

    def __init__(
        self, settings: LossSettings, *, classes: int, feature_width: int, class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.settings, self.classes = settings, classes
        # not part of the state: they follow from the training fold; a checkpoint of another must not bring its own
        self.register_buffer(
            "class_weights", None if class_weights is None else class_weights.float(), persistent=False
        )

    def forward(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """``logits`` (B, K), ``features`` (B, D) of any float type, ``targets`` → scalar float32.

        ``targets`` are labels (B,) int64, or shares of the classes (B, K) float32 where the loss takes them.
        """
        if logits.shape != (len(targets), self.classes) or len(features) != len(targets):
            raise ValueError(
                f"expected logits ({len(targets)}, {self.classes}) and as many features; "
                f"found {tuple(logits.shape)} and {tuple(features.shape)}"
            )
        if targets.ndim > 1 and not self.takes_shares:
            raise UsageError(f"{type(self).__name__} has no form for shares of classes; expected labels (B,)")
        # squared distances of a thousand features overflow float16
        with torch.autocast(logits.device.type, enabled=False):
            return self.compute(logits.float(), features.float(), targets)

    @abstractmethod
    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """The formula, all in float32: (B, K), (B, D), (B,) or (B, K) → scalar.

        A mean over the samples, divided by B and nothing else: only then do the gradients of micro-batches add up.
        """

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Learn from a batch what is not learned by gradient (class centers); call once per optimiser step."""

    def weight_of(self, labels: Tensor) -> Tensor:
        """(B,) class weight of each sample; ones where classes are not weighted."""
        if self.class_weights is None:
            return torch.ones(len(labels), device=labels.device)
        return self.class_weights[labels]


def labels_of(targets: Tensor) -> Tensor:
    """(B,) int64: labels as they are, of shares (B, K) the class with the largest."""
    return targets.argmax(dim=1) if targets.ndim > 1 else targets


def balanced_class_weights(labels: Tensor, *, classes: int) -> Tensor:
    """Weights N / (K · N_k), (K,) float32: each class counts the same; a class without samples is a UsageError.

    King and Zeng, "Logistic regression in rare events data" (2001); the mean weight over the samples is 1.
    """
    counts = torch.bincount(labels.cpu(), minlength=classes)
    if len(counts) > classes or not bool(counts.all()):
        raise UsageError(
            f"expected training samples of each of {classes} classes; found {counts.tolist()}",
            hint="choose another class set, or a fold manifest in which every fold has every class",
        )
    return (counts.sum() / (classes * counts.double())).float()
