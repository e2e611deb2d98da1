"""AdamW with one learning rate for the backbones and one for what is behind them, both on a One-Cycle schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import OneCycleLR

from fer_train.config import OptimiserSettings
from fer_train.models.network import ExpressionNetwork


def make_optimiser(network: ExpressionNetwork, settings: OptimiserSettings) -> torch.optim.AdamW:
    """AdamW over four groups: {backbone, fusion} × {decayed, not decayed}; empty ones are left out.

    Matrices and kernels decay; biases, normalisation weights and other vectors do not.
    """
    rates = {"backbone": settings.backbone_rate, "fusion": settings.fusion_rate}
    groups: list[dict[str, Any]] = []
    for part, parameters in network.parameter_groups().items():
        for decayed in (True, False):
            chosen = [p for p in parameters if p.requires_grad and (p.ndim > 1) == decayed]
            if chosen:
                decay = settings.weight_decay if decayed else 0.0
                name = part if decayed else f"{part}_undecayed"
                groups.append({"params": chosen, "lr": rates[part], "weight_decay": decay, "name": name})
    return torch.optim.AdamW(groups, fused=True)  # one kernel for all parameters


def make_schedule(optimiser: torch.optim.Optimizer, settings: OptimiserSettings, *, total_steps: int) -> OneCycleLR:
    """One-Cycle (Smith & Topin 2018) over exactly ``total_steps`` optimiser steps, from each group's own peak."""
    peaks = [group["lr"] for group in optimiser.param_groups]
    # a warm-up of a single step has no length, by which OneCycleLR would divide
    warm_up = 0.0 if math.isclose(settings.warm_up * total_steps, 1) else settings.warm_up
    schedule = OneCycleLR(
        optimiser,
        max_lr=peaks,
        total_steps=total_steps,
        pct_start=warm_up,
        div_factor=settings.start_divisor,
    )
    for group in optimiser.param_groups:
        # OneCycleLR knows one final divisor for all groups; the thesis has one final rate for all groups
        group["min_lr"] = settings.floor_rate
    return schedule
