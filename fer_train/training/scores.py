"""What a validation says in numbers, worked out on the device so that nobody waits for it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from fer_train.losses.base import ExpressionLoss

ACCURACIES: Final = ("val_overall_accuracy", "val_average_accuracy")


@torch.no_grad()
def scores_of(logits: Tensor, features: Tensor, labels: Tensor, *, loss: ExpressionLoss) -> Tensor:
    """(3,) loss, overall and average class accuracy in percent, of logits (n, K), features (n, D) and labels (n,)."""
    hits = (logits.argmax(1) == labels).float()
    members = (labels[:, None] == torch.arange(logits.shape[1], device=labels.device)).float()  # (n, K)
    sizes = members.sum(0)
    recalls = (members * hits[:, None]).sum(0) / sizes.clamp(min=1)
    average = recalls.sum() / (sizes > 0).sum()
    return torch.stack((loss(logits, features, labels), 100 * hits.mean(), 100 * average))
