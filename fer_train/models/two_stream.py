"""The thesis's network (§3.3): two backbones, spatial attention, fusion, transformer encoder, two-layer MLP.

::

    RGB ──── Backbone ── F_rgb (B, C, h, w) ─┬─ S masks, max ── M_rgb ──┐
                                             │                          ├─ mean ── · F_rgb ── 1×1 conv ─┐
    depth ── Backbone ── F_depth ────────────┴─ S masks, max ── M_depth ┘                               │
                          logits (B, K) ── MLP ── features (B, D) ── encoder ── tokens (B, h·w, D) ─────┘

One stream is built for each input; the ablations of Tables 3.6 and 3.7 are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import nn

from fer_prep.errors import UsageError
from fer_train.data.images import Inputs
from fer_train.models.encoder import make_aggregation
from fer_train.models.fusion import Fusion
from fer_train.models.network import ExpressionNetwork, NetworkOutput


@final
class TwoStreamNetwork(ExpressionNetwork):
    """Images by name → class logits; see the module's picture.

    ``classes`` K; ``image_size`` pixels of the square images; ``backbone`` a timm name; ``token_width`` D;
    ``attention_maps`` S attentions a stream, ``attention_reduction`` their channel squeeze; ``mlp_width`` the hidden
    width of the head; ``dropout`` in encoder and head; ``drop_path`` stochastic depth in the backbones;
    ``depth_channels`` to which an input of one channel is repeated.
    """

    def __init__(
        self,
        *,
        classes: int,
        image_size: int,
        inputs: Sequence[str] = ("rgb", "depth"),
        backbone: str = "tf_efficientnet_b2",
        fusion: str = "attention",
        aggregation: str = "class-token",
        spatial_attention: str = "lanet",
        attention_maps: int = 4,
        attention_reduction: int = 16,
        token_width: int = 256,
        encoder_depth: int = 4,
        encoder_heads: int = 8,
        mlp_width: int = 256,
        dropout: float = 0.1,
        drop_path: float = 0.0,
        depth_channels: int = 3,
        pretrained: bool = False,
        **_: Any,
    ) -> None:
        super().__init__(classes=classes, image_size=image_size, inputs=inputs, feature_width=token_width)
        if not 0.0 <= dropout < 1.0:
            raise UsageError(f"dropout must be in [0, 1); found {dropout}")
        first = self.build_backbones(
            backbone, single_channels=depth_channels, drop_path=drop_path, pretrained=pretrained
        )
        self.grid = first.grid
        self.fusion = Fusion(
            fusion,
            streams=self.inputs,
            channels=first.channels,
            attention=spatial_attention,
            maps=attention_maps,
            reduction=attention_reduction,
        )
        self.to_tokens = nn.Conv2d(self.fusion.out_channels, token_width, kernel_size=1)
        self.aggregation = make_aggregation(
            aggregation,
            tokens=first.grid[0] * first.grid[1],
            width=token_width,
            depth=encoder_depth,
            heads=encoder_heads,
            dropout=dropout,
        )
        self.head = nn.Sequential(
            nn.Linear(token_width, mlp_width), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp_width, classes)
        )

    def forward(self, inputs: Inputs) -> NetworkOutput:
        """Each of ``self.inputs`` (B, C, S, S), normalised → NetworkOutput."""
        features = {name: backbone(self.image(inputs, name)) for name, backbone in self.backbones.items()}
        fused, masks = self.fusion(features)  # (B, C, h, w)
        tokens = self.to_tokens(fused).flatten(2).transpose(1, 2)  # (B, h·w, D)
        vector = self.aggregation(tokens)  # (B, D)
        return NetworkOutput(logits=self.head(vector), features=vector, masks=masks)
