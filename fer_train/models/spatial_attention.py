"""Where in the picture to look: masks in (0, 1) computed from a stream's feature map.

LANet: Wang et al., "Local attention networks for face attribute recognition" (2017), as the thesis uses it (§3.3).
CBAM: Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018, eq. 3 (its spatial half).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import torch
from torch import Tensor, nn

from fer_prep.errors import UsageError


@final
class LanetAttention(nn.Module):
    """1×1 conv → BN → ReLU → 1×1 conv → BN → sigmoid: (B, C, h, w) → (B, 1, h, w) in (0, 1)."""

    def __init__(self, channels: int, *, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        # no bias before a batch normalisation: it would be subtracted again and never learn
        self.squeeze = nn.Conv2d(channels, hidden, kernel_size=1, bias=False)
        self.squeeze_norm = nn.BatchNorm2d(hidden)
        self.score = nn.Conv2d(hidden, 1, kernel_size=1, bias=False)
        self.score_norm = nn.BatchNorm2d(1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, 1, h, w)."""
        hidden = self.squeeze_norm(self.squeeze(features)).relu()
        return self.score_norm(self.score(hidden)).sigmoid()


@final
class CbamAttention(nn.Module):
    """Mean and maximum over channels → 7×7 conv → BN → sigmoid: (B, C, h, w) → (B, 1, h, w) in (0, 1).

    ``reduction`` has no meaning here (CBAM's spatial half has no hidden channels) and is ignored.
    """

    def __init__(self, channels: int, *, reduction: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(2, 1, kernel_size=7, padding=3, bias=False)
        self.score_norm = nn.BatchNorm2d(1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, 1, h, w)."""
        summary = torch.cat([features.mean(dim=1, keepdim=True), features.amax(dim=1, keepdim=True)], dim=1)
        return self.score_norm(self.score(summary)).sigmoid()


SPATIAL_ATTENTIONS: Final[dict[str, Callable[..., nn.Module]]] = {"lanet": LanetAttention, "cbam": CbamAttention}


@final
class SpatialAttention(nn.Module):
    """S attentions side by side, element-wise maximum over them: (B, C, h, w) → (B, 1, h, w) in (0, 1)."""

    def __init__(self, channels: int, *, kind: str = "lanet", maps: int = 4, reduction: int = 16) -> None:
        super().__init__()
        if kind not in SPATIAL_ATTENTIONS:
            raise UsageError(f"unknown spatial attention {kind!r}; legal: {', '.join(SPATIAL_ATTENTIONS)}, none")
        if maps < 1:
            raise UsageError(f"attention_maps must be at least 1; found {maps}")
        self.maps = nn.ModuleList(SPATIAL_ATTENTIONS[kind](channels, reduction=reduction) for _ in range(maps))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, 1, h, w)."""
        return torch.stack([attention(features) for attention in self.maps]).amax(dim=0)


@final
class ChannelAttention(nn.Module):
    """The 1-D counterpart, one weight a channel: (B, C, h, w) → (B, C, 1, 1) in (0, 1).

    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, eq. 2–3.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.squeeze = nn.Conv2d(channels, hidden, kernel_size=1)
        self.excite = nn.Conv2d(hidden, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, 1, 1)."""
        return self.excite(self.squeeze(features.mean(dim=(2, 3), keepdim=True)).relu()).sigmoid()
