"""Weighted cross-entropy."""

from __future__ import annotations

from typing import final

from torch import Tensor
from torch.nn import functional

from fer_prep.errors import UsageError
from fer_train.losses.base import ExpressionLoss


@final
class CrossEntropyLoss(ExpressionLoss):
    """L = 1/N Σᵢ w_{yᵢ} (−log softmax(sᵢ)_{yᵢ}), s the logits; thesis 2.12.

    PyTorch's own mean divides by Σᵢ w_{yᵢ}: the gradients of the parts of a batch would not add up to the batch's.
    ``label_smoothing`` ε mixes the target with the uniform distribution (Szegedy et al. 2016, §7); 0 is the thesis's.
    """

    takes_shares = True

    def __init__(self, *, classes: int, class_weights: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__(classes=classes, class_weights=class_weights)
        if not 0.0 <= label_smoothing < 1.0:
            raise UsageError(f"label_smoothing must be in [0, 1); found {label_smoothing}")
        self.label_smoothing = label_smoothing

    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """(B, K), (B, D), (B,) or (B, K) → scalar."""
        total = functional.cross_entropy(
            logits, targets, weight=self.class_weights, label_smoothing=self.label_smoothing, reduction="sum"
        )
        return total / len(logits)
