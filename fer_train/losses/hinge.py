"""Squared multi-class hinge loss."""

from __future__ import annotations

from typing import Final, final

from torch import Tensor

from fer_train.losses.base import ExpressionLoss

MARGIN: Final = 1.0
"""m."""


@final
class SquaredHingeLoss(ExpressionLoss):
    """L = 1/N Σᵢ w_{yᵢ} Σ_{j ≠ yᵢ} max(0, m − s_{yᵢ} + sⱼ)², s the logits, m the margin.

    Thesis 2.14: the hinge of Weston and Watkins (1999), squared as by Tang, "Deep learning using linear support vector
    machines" (2013). PyTorch's ``multi_margin_loss(p=2)`` divides by K besides.
    """

    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """(B, K), (B, D), (B,) → scalar."""
        own = logits.gather(1, targets[:, None])  # (B, 1)
        violations = (MARGIN - own + logits).clamp(min=0).square()  # (B, K)
        # the sample's own class violates its margin by exactly m: take it out
        others = violations.scatter(1, targets[:, None], 0.0).sum(dim=1)  # (B,)
        return (self.weight_of(targets) * others).mean()
