"""Cross-entropy + island loss: near one's own center, centers far from each other."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from fer_prep.errors import UsageError
from fer_train.losses.base import ExpressionLoss, labels_of
from fer_train.losses.class_centers import ClassCenters
from fer_train.losses.cross_entropy import CrossEntropyLoss

_SMALLEST_NORM: Final = 1e-6
"""Shorter centers have no direction (they start at the origin): their cosines count as 0 and push nobody."""


@final
class IslandLoss(ExpressionLoss):
    """L = L_CE + λ (½ · mean ‖xᵢ − c_{yᵢ}‖² + λ₁ Σ_j Σ_{k ≠ j} (cos(c_j, c_k) + 1)); thesis 2.19–2.21.

    Cai et al., "Island loss for learning discriminative features in facial expression recognition", FG 2018, over
    ordered pairs of centers. ``pair_reduction="mean"`` divides the double sum by K(K − 1). Its least value is K(K − 2)
    as a sum, at cosines of −1/(K − 1): not 0.

    Known misprints: the thesis's 2.20 has a difference of norms where the cosine has their product; code that clears
    the diagonal before adding 1 logs λ₁K too much.

    The double sum depends on the centers alone, so no gradient of it reaches the network: it acts by moving the
    centers in ``update``, which then draw the features after them.
    """

    takes_shares = True

    def __init__(
        self,
        *,
        classes: int,
        feature_width: int,
        class_weights: Tensor | None = None,
        center_weight: float = 0.01,
        pair_weight: float = 10.0,
        pair_reduction: str = "sum",
        alpha: float = 0.5,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(classes=classes)
        if pair_reduction not in ("sum", "mean"):
            raise UsageError(f"unknown pair_reduction {pair_reduction!r}; legal: sum, mean")
        self.cross_entropy = CrossEntropyLoss(
            classes=classes, class_weights=class_weights, label_smoothing=label_smoothing
        )
        self.class_centers = ClassCenters(classes=classes, feature_width=feature_width, alpha=alpha)
        self.center_weight, self.pair_weight, self.pair_reduction = center_weight, pair_weight, pair_reduction

    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """(B, K), (B, D), (B,) or (B, K) → scalar."""
        distance = self.class_centers.half_squared_distance(features, labels_of(targets))
        pairs = pairwise_term(self.class_centers.centers, reduction=self.pair_reduction)
        island = distance + self.pair_weight * pairs
        return self.cross_entropy.compute(logits, features, targets) + self.center_weight * island

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Move the centers toward the batch's features, (B, D) and (B,), and away from each other.

        Δc_j = (eq. 4 of Wen et al.) + λ₁ / (K − 1) · Σ_{k ≠ j} ∂cos(c_j, c_k)/∂c_j, as in Cai et al.: the mean push of
        the other centers, whatever ``pair_reduction`` is.
        """
        push = repulsion(self.class_centers.centers)
        self.class_centers.step(self.class_centers.attraction(features, labels) + self.pair_weight * push)


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
    directions = _directions(centers)
    cosines = directions @ directions.T  # (K, K); the diagonal's own share is u_j − 1 · u_j = 0
    pull = directions.sum(dim=0) - cosines.sum(dim=1, keepdim=True) * directions
    return (
        pull
        / centers.norm(dim=1, keepdim=True).clamp(min=_SMALLEST_NORM)
        / (len(centers) - 1)
        * _has_direction(centers)
    )


def _has_direction(centers: Tensor) -> Tensor:
    return centers.norm(dim=1, keepdim=True) >= _SMALLEST_NORM  # (K, 1)


def _directions(centers: Tensor) -> Tensor:
    """Unit vectors (K, D); zero for a center without direction."""
    return centers / centers.norm(dim=1, keepdim=True).clamp(min=_SMALLEST_NORM) * _has_direction(centers)
