"""From a fused feature map to one vector a picture: a small vision transformer, or the plain average (Table 3.7).

The transformer is Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, eq. 1–4, over the places of the
feature map instead of over patches: learned positional embedding, pre-norm layers, final LayerNorm. It is read off its
class token, as POSTER V2 and the thesis do, or as the mean over its tokens (their appendix D.3).
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn

from fer_prep.errors import UsageError

AGGREGATIONS: Final = ("class-token", "encoder-mean", "average")


@final
class TokenEncoder(nn.Module):
    """Tokens (B, T, D) → the class token, or the tokens' mean, after ``depth`` layers and a LayerNorm (B, D)."""

    def __init__(self, *, tokens: int, width: int, depth: int, heads: int, dropout: float, class_token: bool) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(f"token_width must be a multiple of encoder_heads; found {width} and {heads}")
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.positions = nn.Parameter(torch.zeros(1, tokens + class_token, width))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.dropout = nn.Dropout(dropout)
        # layers are built one by one: nn.TransformerEncoder copies the first, so all would start with equal weights
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) → (B, D)."""
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)  # (B, T + 1, D)
        sequence = self.dropout(tokens + self.positions)
        for layer in self.layers:
            sequence = layer(sequence)
        return self.norm(sequence.mean(dim=1) if self.class_token is None else sequence[:, 0])


@final
class TokenAverage(nn.Module):
    """Tokens (B, T, D) → their mean under a LayerNorm (B, D); knows nothing of where a token lies."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) → (B, D)."""
        return self.norm(tokens.mean(dim=1))


def make_aggregation(name: str, *, tokens: int, width: int, depth: int, heads: int, dropout: float) -> nn.Module:
    """Build one of ``AGGREGATIONS``; an unknown name is a UsageError."""
    if name not in AGGREGATIONS:
        raise UsageError(f"unknown aggregation {name!r}; legal: {', '.join(AGGREGATIONS)}")
    if name == "average":
        return TokenAverage(width=width)
    return TokenEncoder(
        tokens=tokens, width=width, depth=depth, heads=heads, dropout=dropout, class_token=name == "class-token"
    )
