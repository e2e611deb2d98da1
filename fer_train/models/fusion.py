"""How the streams' feature maps become one: the thesis's attention fusion and the baselines beside it.

Every fusion takes one feature map a stream, by the name of its input, and gives back one map and the masks it used.
Only this step differs between them, so that comparing them compares fusions:

=============  ==================================================================================  ================
attention      thesis §3.3: F = F_rgb · ½(M_rgb + M_depth), M the streams' spatial masks           Table 3.6
sum            F = F_rgb · M_rgb + F_depth · M_depth                                               Table 3.6
concat         F = [F_rgb · M_rgb ; F_depth · M_depth], twice the channels                         baseline
attention-1d   as ``attention``, with a weight a channel instead of a weight a place              baseline
=============  ==================================================================================  ================

With one stream, all of them are that stream's map weighted by its own mask. More than two go likewise: ``attention``
averages all masks on the first stream's map.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from fer_prep.errors import UsageError
from fer_train.models.spatial_attention import ChannelAttention, SpatialAttention

Maps = Mapping[str, Tensor]
"""Stream name → (B, C, h, w)."""


class Fusion(nn.Module, ABC):
    """Feature maps by stream → one map; ``out_channels`` is its width."""

    def __init__(self, attentions: nn.ModuleDict, *, out_channels: int) -> None:
        super().__init__()
        self.attentions = attentions
        self.out_channels = out_channels

    def forward(self, features: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """Maps (B, C, h, w) → the fused map (B, out_channels, h, w) and the mask of each stream, in (0, 1)."""
        masks = {name: attention(features[name]) for name, attention in self.attentions.items()}
        return self.combine(features, masks), masks

    @abstractmethod
    def combine(self, features: Maps, masks: Maps) -> Tensor:
        """Weigh and join: (B, C, h, w) each → (B, out_channels, h, w)."""


@final
class AttentionFusion(Fusion):
    """The masks' mean, multiplied onto the first stream's map: RGB's, in the thesis."""

    def combine(self, features: Maps, masks: Maps) -> Tensor:
        """(B, C, h, w) each → (B, C, h, w)."""
        return next(iter(features.values())) * (sum(masks.values()) / len(masks))


@final
class SumFusion(Fusion):
    """The sum of the streams' maps, each under its own mask."""

    def combine(self, features: Maps, masks: Maps) -> Tensor:
        """(B, C, h, w) each → (B, C, h, w)."""
        return torch.stack([features[name] * masks[name] for name in masks]).sum(dim=0)


@final
class ConcatFusion(Fusion):
    """The streams' maps, each under its own mask, side by side along the channels."""

    def combine(self, features: Maps, masks: Maps) -> Tensor:
        """(B, C, h, w) each → (B, C · streams, h, w)."""
        return torch.cat([features[name] * masks[name] for name in masks], dim=1)


FUSIONS: Final[dict[str, type[Fusion]]] = {
    "attention": AttentionFusion,
    "sum": SumFusion,
    "concat": ConcatFusion,
    "attention-1d": AttentionFusion,
}


def make_fusion(
    name: str, *, streams: Sequence[str], channels: int, spatial_attention: str, attention_maps: int, reduction: int
) -> Fusion:
    """Build the fusion called ``name`` for streams of ``channels`` each; an unknown name is a UsageError."""
    if name not in FUSIONS:
        raise UsageError(f"unknown fusion {name!r}; legal: {', '.join(FUSIONS)}")
    attentions: dict[str, Any] = {}
    for stream in streams:
        if name == "attention-1d":
            attentions[stream] = ChannelAttention(channels, reduction=reduction)
        else:
            attentions[stream] = SpatialAttention(
                channels, kind=spatial_attention, maps=attention_maps, reduction=reduction
            )
    out_channels = channels * len(streams) if name == "concat" else channels
    return FUSIONS[name](nn.ModuleDict(attentions), out_channels=out_channels)
