"""How the streams' feature maps become one: the thesis's attention fusion and the baselines beside it.

Takes one feature map a stream, by the name of its input, and gives back one map and the masks it used:

=============  ==================================================================================  ================
attention      thesis §3.3: F = F_rgb · ½(M_rgb + M_depth), M the streams' spatial masks           Table 3.7
sum            F = F_rgb · M_rgb + F_depth · M_depth; the thesis's, eq. 3.3, has no masks          Table 3.7
concat         F = [F_rgb · M_rgb ; F_depth · M_depth], twice the channels                         baseline
attention-1d   as ``attention``, with a weight a channel instead of a weight a place              baseline
=============  ==================================================================================  ================

Without masks (``spatial_attention="none"``) M is 1. One stream is its map under its own mask, whatever the fusion;
more than two go likewise: ``attention`` averages all masks on the first stream's map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from fer_prep.errors import UsageError
from fer_train.models.spatial_attention import ChannelAttention, SpatialAttention

Maps = Mapping[str, Tensor]
"""Stream name → (B, C, h, w)."""
FUSIONS: Final = ("attention", "sum", "concat", "attention-1d")
NO_MASKS: Final = "none"


@final
class Fusion(nn.Module):
    """Feature maps by stream → one map, ``out_channels`` wide; UsageError where ``name`` is none of ``FUSIONS``."""

    def __init__(
        self, name: str, *, streams: Sequence[str], channels: int, attention: str, maps: int, reduction: int
    ) -> None:
        super().__init__()
        if name not in FUSIONS:
            raise UsageError(f"unknown fusion {name!r}; legal: {', '.join(FUSIONS)}")
        if attention == NO_MASKS and name.startswith("attention") and len(streams) > 1:
            raise UsageError("attention fusion without masks would look at one stream alone; choose sum or concat")
        self.name = name
        self.out_channels = channels * len(streams) if name == "concat" else channels
        self.attentions = nn.ModuleDict()
        for stream in streams if attention != NO_MASKS else ():
            self.attentions[stream] = (
                ChannelAttention(channels, reduction=reduction)
                if name == "attention-1d"
                else SpatialAttention(channels, kind=attention, maps=maps, reduction=reduction)
            )

    def forward(self, features: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """Maps (B, C, h, w) → the fused map (B, out_channels, h, w) and the mask of each stream, in (0, 1)."""
        masks: dict[str, Tensor] = {name: attention(features[name]) for name, attention in self.attentions.items()}
        if self.name.startswith("attention") and masks:
            return next(iter(features.values())) * torch.stack(list(masks.values())).mean(dim=0), masks
        weighted: list[Tensor] = [each * masks[name] if masks else each for name, each in features.items()]
        return torch.cat(weighted, dim=1) if self.name == "concat" else torch.stack(weighted).sum(dim=0), masks
