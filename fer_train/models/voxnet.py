"""A small 3-D convolutional network for voxels.

After Maturana and Scherer, "VoxNet: A 3D convolutional neural network for real-time object recognition", IROS 2015,
§III-C: two convolutions, 5³ by steps of 2 and 3³, a maximum over 2³, and two linear layers; here with batch
normalisation, one more convolution, and an average over a grid of 4³ so that any number of voxels will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, final

import torch
from torch import nn

from fer_train.data.images import Inputs
from fer_train.data.inputs import INPUTS, Kind
from fer_train.models.network import ExpressionNetwork, NetworkOutput

WIDTHS: Final = (16, 32, 64)
GRID: Final = 4


@final
class VoxelNetwork(ExpressionNetwork):
    """``voxels`` or ``colour-voxels`` (B, C, V, V, V), the channels of several side by side → class logits."""

    takes: ClassVar[Kind] = "voxels"

    def __init__(
        self,
        *,
        classes: int,
        image_size: int,
        inputs: Sequence[str] = ("voxels",),
        token_width: int = 256,
        dropout: float = 0.1,
        **_: Any,
    ) -> None:
        super().__init__(classes=classes, image_size=image_size, inputs=inputs, feature_width=token_width)
        channels = sum(INPUTS[name].channels for name in inputs)
        first, second, third = WIDTHS
        self.layers = nn.Sequential(
            nn.Conv3d(channels, first, kernel_size=5, stride=2, padding=2, bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(),
            nn.Conv3d(first, second, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm3d(second),
            nn.ReLU(),
            nn.MaxPool3d(2),
            nn.Conv3d(second, third, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm3d(third),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(GRID),
            nn.Flatten(),
        )
        self.to_features = nn.Sequential(nn.Linear(third * GRID**3, token_width), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(token_width, classes))

    def forward(self, inputs: Inputs) -> NetworkOutput:
        """See ExpressionNetwork."""
        voxels = torch.cat([self.given(inputs, name) for name in self.inputs], dim=1)  # (B, C, V, V, V)
        features = self.to_features(self.layers(voxels))  # (B, D)
        return NetworkOutput(logits=self.head(features), features=features, masks={})
