"""Weighted cross-entropy."""

from __future__ import annotations

from typing import final

from torch import Tensor
from torch.nn import functional

from fer_train.losses.base import ExpressionLoss


@final
class CrossEntropyLoss(ExpressionLoss):
    """L = 1/N Σᵢ w_{yᵢ} (−log softmax(sᵢ)_{yᵢ}), s the logits; thesis 2.12.

    PyTorch's own mean divides by Σᵢ w_{yᵢ}: the gradients of the parts of a batch would not add up to the batch's.
    ``label_smoothing`` ε mixes the target with the uniform distribution (Szegedy et al. 2016, §7); 0 is the thesis's.
    """

    takes_shares = True

    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """(B, K), (B, D), (B,) or (B, K) → scalar."""
        total = functional.cross_entropy(
            logits, targets, weight=self.class_weights, label_smoothing=self.settings.label_smoothing, reduction="sum"
        )
        return total / len(logits)
