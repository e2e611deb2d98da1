"""Focal loss, in its softmax form."""

from __future__ import annotations

from typing import final

from torch import Tensor
from torch.nn import functional

from fer_train.losses.base import ExpressionLoss


@final
class FocalLoss(ExpressionLoss):
    """L = 1/N Σᵢ α_{yᵢ} (1 − pᵢ)^γ (−log pᵢ), pᵢ = softmax(sᵢ)_{yᵢ}; thesis 2.22.

    Lin et al., "Focal loss for dense object detection", ICCV 2017, eq. 5, with the softmax in place of the K separate
    sigmoids that torchvision's ``sigmoid_focal_loss`` has. α are the class weights. γ = 0 is weighted cross-entropy
    exactly.
    """

    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """(B, K), (B, D), (B,) → scalar."""
        log_p = functional.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]  # (B,)
        if self.settings.gamma == 0:
            modulated = -log_p
        else:
            # 1 − p from log p without cancellation; kept off 0, where a power below 1 has no finite slope
            doubt = (-log_p.expm1()).clamp(min=1e-7)
            modulated = -(doubt**self.settings.gamma) * log_p
        return (self.weight_of(targets) * modulated).mean()
