"""The class centers of center loss and island loss: a buffer, moved once an optimiser step, equal on all processes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, distributed, nn


@final
class ClassCenters(nn.Module):
    """``centers`` (K, D) float32, saved and resumed with the state dict. Two rules move them, c_k ← c_k − α Δc_k.

    ``wen`` starts at the origin: Wen et al., "A discriminative feature learning approach for deep face recognition",
    ECCV 2016, eq. 4 (thesis 2.17); a class that is not in the batch stays where it is::

        Δc_k = Σᵢ [yᵢ = k] (c_k − xᵢ) / (1 + Σᵢ [yᵢ = k])

    ``sgd`` starts at normal random numbers and takes the gradient of the loss itself, as the thesis's author did.
    The sums run over the batch on all processes.
    """

    centers: Tensor

    def __init__(self, *, classes: int, feature_width: int, alpha: float, rule: str) -> None:
        super().__init__()
        self.alpha, self.by_gradient = alpha, rule == "sgd"
        start = torch.randn if self.by_gradient else torch.zeros
        self.register_buffer("centers", start(classes, feature_width))

    def half_squared_distance(self, features: Tensor, labels: Tensor) -> Tensor:
        """½ · mean ‖xᵢ − c_{yᵢ}‖², features (B, D) float32 → scalar (Wen eq. 2, thesis 2.15, over the batch size).

        The thesis's 2.15 lacks the square; Wen's sum becomes a mean so that λ does not depend on the batch size.
        """
        return 0.5 * (features - self.centers[labels]).square().sum(dim=1).mean()

    @torch.no_grad()
    def attraction(self, features: Tensor, labels: Tensor) -> Tensor:
        """(K, D): Wen's Δc, or the gradient of ``half_squared_distance``; features (B, D) of any float type."""
        with torch.autocast(features.device.type, enabled=False):
            # as a product with the one-hot labels: index_add_ is not deterministic on GPUs
            classes = torch.arange(len(self.centers), device=labels.device)
            member = (labels == classes[:, None]).float()  # (K, B)
            sums = torch.cat([member @ features.detach().float(), member.sum(dim=1, keepdim=True)], dim=1)  # (K, D + 1)
            if distributed.is_available() and distributed.is_initialized():
                distributed.all_reduce(sums)
            total, count = sums[:, :-1], sums[:, -1:]
            return (count * self.centers - total) / (count.sum() if self.by_gradient else 1 + count)

    @torch.no_grad()
    def step(self, delta: Tensor) -> None:
        """c ← c − α Δc, ``delta`` (K, D)."""
        self.centers.sub_(self.alpha * delta)
