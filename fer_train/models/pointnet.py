"""A small PointNet: every point by itself through the same layers, the largest answer of all points, and a classifier.

Qi, Su, Mo and Guibas, "PointNet: Deep learning on point sets for 3D classification and segmentation", CVPR 2017, eq. 1
and figure 2, without its two transform networks: faces come framed upright. The order of points does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, final

import torch
from torch import nn

from fer_train.data.images import Inputs
from fer_train.data.inputs import INPUTS, Kind
from fer_train.models.network import ExpressionNetwork, NetworkOutput

WIDTHS: Final = (64, 64, 128, 512)
"""Of the layers that all points share; the paper's end in 1024."""


@final
class PointNetwork(ExpressionNetwork):
    """``points`` or ``bare-points`` (B, C, P), the channels of several side by side → class logits."""

    takes: ClassVar[Kind] = "points"

    def __init__(
        self,
        *,
        classes: int,
        image_size: int,
        inputs: Sequence[str] = ("points",),
        token_width: int = 256,
        mlp_width: int = 256,
        dropout: float = 0.1,
        **_: Any,
    ) -> None:
        super().__init__(classes=classes, image_size=image_size, inputs=inputs, feature_width=token_width)
        layers: list[nn.Module] = []
        before = sum(INPUTS[name].channels for name in inputs)
        for width in WIDTHS:
            layers += [nn.Conv1d(before, width, kernel_size=1, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
            before = width
        self.shared = nn.Sequential(*layers)
        # a batch may be a single face: what is behind the maximum is normalised within a sample
        self.to_features = nn.Sequential(nn.Linear(before, token_width), nn.LayerNorm(token_width), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(token_width, mlp_width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(mlp_width, classes)
        )

    def forward(self, inputs: Inputs) -> NetworkOutput:
        """See ExpressionNetwork."""
        points = torch.cat([self.given(inputs, name) for name in self.inputs], dim=1)  # (B, C, P)
        features = self.to_features(self.shared(points).amax(dim=2))  # (B, D)
        return NetworkOutput(logits=self.head(features), features=features, masks={})
