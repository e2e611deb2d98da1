"""What changes while a fold trains, and its way into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from fer_train.losses.base import ExpressionLoss
from fer_train.models.network import ExpressionNetwork
from fer_train.training.checkpoint import random_state, restore_random_state

PLAIN: Final = ("step", "finished", "history", "chosen", "people")
"""Fields that go into a checkpoint as they are."""


@dataclass
class State:
    """What changes while a fold trains; all of it is in the checkpoint."""

    network: ExpressionNetwork
    loss: ExpressionLoss
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.OneCycleLR
    ema: ModelEmaV3 | None
    step: int = 0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    chosen: dict[str, Any] | None = None
    """With an inner split: ``weights``, ``step`` and ``loss`` of its best validation."""
    people: list[str] = field(default_factory=list)
    """Subjects that the weights learn from, also in the training that they started from."""

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the averaged one where averaging is on."""
        return self.ema.module if self.ema else self.network

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {name: getattr(self, name) for name in ("network", "loss", "optimiser", "schedule")}
        return parts | ({"ema": self.ema.module} if self.ema else {})

    def to_checkpoint(self, device: torch.device) -> dict[str, Any]:
        """The state as plain tensors, numbers, dicts and lists."""
        plain = {name: getattr(self, name) for name in PLAIN}
        return {
            **{name: part.state_dict() for name, part in self._parts().items()},
            **plain,
            "random": random_state(device),
        }

    def restore(self, stored: Mapping[str, Any], device: torch.device) -> None:
        """Become the state that ``to_checkpoint`` described."""
        for name, part in self._parts().items():
            part.load_state_dict(stored[name])
        for name in PLAIN:
            setattr(self, name, stored[name])
        restore_random_state(stored["random"], device)
