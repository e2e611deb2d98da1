"""Cross-entropy + island loss: near one's own center, centers far from each other."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from fer_train.losses.center import CenterLoss

_SMALLEST_NORM: Final = 1e-6
"""Shorter centers (``wen`` starts at the origin) have no direction: their cosines count as 0 and push nobody."""


@final
class IslandLoss(CenterLoss):
    """Center loss, and a pairwise term L_I = Σ_j Σ_{k ≠ j} (cos(c_j, c_k) + 1) over ordered pairs of centers.

    Cai et al., "Island loss for learning discriminative features in facial expression recognition", FG 2018, and the
    thesis's author: ``nested``, L_CE + λ (L_C + λ₁ L_I). The thesis's 2.19 as it is printed: ``flat``,
    L_CE + λ L_C + λ₁ L_I. ``pair_reduction="mean"`` divides the double sum by K(K − 1). Its least value is K(K − 2) as
    a sum, at cosines of −1/(K − 1): not 0.

    The thesis's 2.20 has a difference of norms where the cosine has their product. Its 2.21 divides the push of the
    other centers by 1 + K, so that a lone class keeps a denominator; ours, under ``wen``, takes their mean (K − 1), as
    Cai et al. do, and under ``sgd`` the gradient of the loss, which has no denominator at all.

    L_I depends on the centers alone, so no gradient of it reaches the network: it acts by moving the centers in
    ``update``, which then draw the features after them.
    """

    @property
    def weight_in_loss(self) -> float:
        """What stands before L_I in the whole loss."""
        settings = self.settings
        return settings.pair_weight * (settings.center_weight if settings.island_form == "nested" else 1.0)

    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """(B, K), (B, D), (B,) or (B, K) → scalar."""
        pairs = pairwise_term(self.class_centers.centers, reduction=self.settings.pair_reduction)
        return super().compute(logits, features, targets) + self.weight_in_loss * pairs

    def delta(self, features: Tensor, labels: Tensor) -> Tensor:
        """(K, D): toward the features, and away from the other centers.

        ``wen``: λ₁ times the mean push of the others (Cai et al.), whatever form and reduction are; ``sgd``: the
        gradient of the whole loss, whose double sum counts every pair twice.
        """
        others = len(self.class_centers.centers) - 1
        weight = self.settings.pair_weight
        if self.class_centers.by_gradient:
            pairs = others * (others + 1) if self.settings.pair_reduction == "mean" else 1
            weight = self.weight_in_loss * 2 * others / pairs
        return super().delta(features, labels) + weight * repulsion(self.class_centers.centers)


def pairwise_term(centers: Tensor, *, reduction: str) -> Tensor:
    """Σ (or mean) over ordered pairs j ≠ k of cos(c_j, c_k) + 1, centers (K, D) float32 → scalar."""
    directions = _directions(centers)
    others = ~torch.eye(len(centers), dtype=torch.bool, device=centers.device)
    # the diagonal goes out after the + 1, so that it adds nothing
    total = ((directions @ directions.T + 1) * others).sum()
    return total / (len(centers) * (len(centers) - 1)) if reduction == "mean" else total


@torch.no_grad()
def repulsion(centers: Tensor) -> Tensor:
    """(K, D) mean over k ≠ j of ∂cos(c_j, c_k)/∂c_j = (u_k − cos(c_j, c_k) u_j) / ‖c_j‖, u = c / ‖c‖."""
    directions, norms = _directions(centers), centers.norm(dim=1, keepdim=True)
    cosines = directions @ directions.T  # (K, K); the diagonal's own share is u_j − 1 · u_j = 0
    pull = directions.sum(dim=0) - cosines.sum(dim=1, keepdim=True) * directions
    return pull / norms.clamp(min=_SMALLEST_NORM) / (len(centers) - 1) * (norms >= _SMALLEST_NORM)


def _directions(centers: Tensor) -> Tensor:
    """Unit vectors (K, D); zero for a center without direction."""
    norms = centers.norm(dim=1, keepdim=True)
    return centers / norms.clamp(min=_SMALLEST_NORM) * (norms >= _SMALLEST_NORM)
