"""Cross-entropy + center loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from fer_train.losses.base import ExpressionLoss, labels_of
from fer_train.losses.class_centers import ClassCenters
from fer_train.losses.cross_entropy import CrossEntropyLoss

if TYPE_CHECKING:
    from fer_train.config import LossSettings


class CenterLoss(ExpressionLoss):
    """L = L_CE + λ · ½ · mean ‖xᵢ − c_{yᵢ}‖², x the features; thesis 2.15–2.18.

    Wen et al., ECCV 2016, eq. 5. The gradient reaches the features only; the centers c move by ``update``.
    λ = 0 is cross-entropy.
    """

    takes_shares = True

    def __init__(
        self, settings: LossSettings, *, classes: int, feature_width: int, class_weights: Tensor | None = None
    ) -> None:
        super().__init__(settings, classes=classes, feature_width=feature_width, class_weights=class_weights)
        self.cross_entropy = CrossEntropyLoss(
            settings, classes=classes, feature_width=feature_width, class_weights=class_weights
        )
        self.class_centers = ClassCenters(
            classes=classes, feature_width=feature_width, alpha=settings.alpha, rule=settings.centers
        )

    def compute(self, logits: Tensor, features: Tensor, targets: Tensor) -> Tensor:
        """(B, K), (B, D), (B,) or (B, K) → scalar."""
        distance = self.class_centers.half_squared_distance(features, labels_of(targets))
        return self.cross_entropy.compute(logits, features, targets) + self.settings.center_weight * distance

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Move the centers toward the batch's features, (B, D) and (B,)."""
        self.class_centers.step(self.delta(features, labels))

    def delta(self, features: Tensor, labels: Tensor) -> Tensor:
        """(K, D): what the centers' rule says; by gradient, it is that of the term as it stands in the loss."""
        weight = self.settings.center_weight if self.class_centers.by_gradient else 1.0
        return weight * self.class_centers.attraction(features, labels)
