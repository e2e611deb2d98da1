"""What every network is to the rest of the trainer: pictures in, logits and features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, NamedTuple

from torch import Tensor, nn

from fer_prep.errors import UsageError
from fer_train.models.backbone import Backbone

MODALITIES: Final[dict[str, tuple[str, ...]]] = {"rgbd": ("rgb", "depth"), "rgb": ("rgb",), "depth": ("depth",)}
"""Modality → its streams, in order."""


class NetworkOutput(NamedTuple):
    """What the network says about a batch."""

    logits: Tensor
    """(B, K)."""
    features: Tensor
    """(B, D): what the classifying layers get, and what center and island loss shape."""
    masks: dict[str, Tensor]
    """Stream → (B, 1, h, w) in (0, 1), or (B, C, 1, 1) for a weight a channel; empty where there is no attention."""


class ExpressionNetwork(nn.Module, ABC):
    """RGB and depth pictures → class logits. A subclass fills ``backbones`` and gives ``forward``.

    It is built with ``classes``, ``image_size`` and all settings of ``[model]`` as keywords, and may ignore those that
    it has no use for.
    """

    def __init__(
        self, *, classes: int, image_size: int, modality: str, depth_channels: int, feature_width: int
    ) -> None:
        super().__init__()
        if modality not in MODALITIES:
            raise UsageError(f"unknown modality {modality!r}; legal: {', '.join(MODALITIES)}")
        if depth_channels not in (1, 3):
            raise UsageError(f"depth_channels must be 1 or 3; found {depth_channels}")
        if classes < 2:
            raise UsageError(f"a classifier needs at least two classes; found {classes}")
        self.classes, self.image_size, self.modality = classes, image_size, modality
        self.depth_channels, self.feature_width = depth_channels, feature_width
        self.backbones = nn.ModuleDict()
        """Stream → Backbone: they learn at the lower rate, are given weights from files, and are explained."""

    @abstractmethod
    def forward(self, rgb: Tensor | None, depth: Tensor | None) -> NetworkOutput:
        """Normalised ``rgb`` (B, 3, H, W) and ``depth`` (B, depth_channels, H, W) → NetworkOutput.

        A picture of a modality that this network does not use may be None; ``checked`` refuses any other lack.
        """

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of this network's modality, in order."""
        return MODALITIES[self.modality]

    @property
    def channels(self) -> dict[str, int]:
        """Stream → channels of its picture."""
        return {"rgb": 3, "depth": self.depth_channels}

    def build_backbones(self, name: str, *, drop_path: float = 0.0, pretrained: bool = False) -> Backbone:
        """Fill ``backbones`` with one backbone called ``name`` for each stream; returns the first."""
        for stream in self.streams:
            self.backbones[stream] = Backbone(
                name,
                in_channels=self.channels[stream],
                image_size=self.image_size,
                drop_path=drop_path,
                pretrained=pretrained,
            )
        return self.backbone(self.streams[0])

    def backbone(self, stream: str) -> Backbone:
        """The backbone of ``rgb`` or ``depth``, for loading weights and for explaining."""
        backbone = self.backbones[stream]
        if not isinstance(backbone, Backbone):
            raise TypeError(f"expected a Backbone, found {type(backbone).__name__}")
        return backbone

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by learning rate: ``backbone`` (usually pretrained) and ``fusion`` (all that is new)."""
        backbone = list(self.backbones.parameters())
        known = {id(parameter) for parameter in backbone}
        return {"backbone": backbone, "fusion": [p for p in self.parameters() if id(p) not in known]}

    def checked(self, stream: str, picture: Tensor | None) -> Tensor:
        """The picture of a stream; a missing one, or one of another size, is an error that says what is wanted."""
        expected = (self.channels[stream], self.image_size, self.image_size)
        if picture is None:
            raise UsageError(f"this network was built for {self.modality!r} and needs a {stream} picture")
        if tuple(picture.shape[1:]) != expected:
            raise UsageError(
                f"expected {stream} pictures of (channels, height, width) {expected}; found {tuple(picture.shape[1:])}"
            )
        return picture
