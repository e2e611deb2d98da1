"""What every network is to the rest of the trainer: inputs by name in, logits and features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from fer_prep.errors import UsageError
from fer_train.data.images import Inputs
from fer_train.data.inputs import INPUTS, Kind
from fer_train.models.backbone import Backbone


class NetworkOutput(NamedTuple):
    """What the network says about a batch."""

    logits: Tensor
    """(B, K)."""
    features: Tensor
    """(B, D): what the classifying layers get, and what center and island loss shape."""
    masks: dict[str, Tensor]
    """Input → (B, 1, h, w) in (0, 1), or (B, C, 1, 1) for a weight a channel; empty where there is no attention."""


class ExpressionNetwork(nn.Module, ABC):
    """Inputs by name → class logits. A subclass fills ``backbones`` and gives ``forward``.

    It is built with ``classes``, ``image_size``, ``inputs`` and all settings of ``[model]`` as keywords, and may ignore
    those that it has no use for. ``inputs`` are names of ``fer_train.data.inputs.INPUTS``: what it is fed with.
    """

    takes: ClassVar[Kind] = "pictures"
    """The kind of its inputs."""
    fitted: ClassVar[bool] = False
    """Whether it is fitted at once (``training/fitted``) and looks at images as they are and landmarks beside them,
    instead of being trained by steps on normalised inputs."""

    def __init__(self, *, classes: int, image_size: int, inputs: Sequence[str], feature_width: int) -> None:
        super().__init__()
        unknown = [name for name in inputs if name not in INPUTS]
        if unknown or not inputs:
            raise UsageError(f"unknown input {', '.join(unknown)!r}; legal: {', '.join(INPUTS)}")
        for name in inputs:
            if INPUTS[name].kind != self.takes:
                legal = ", ".join(each for each, kind in INPUTS.items() if kind.kind == self.takes)
                raise UsageError(
                    f"this network takes {self.takes} ({legal}); {name} are {INPUTS[name].kind}",
                    hint="choose model.inputs that fit model.network: pointnet takes points, voxnet voxels",
                )
        if classes < 2:
            raise UsageError(f"a classifier needs at least two classes; found {classes}")
        self.classes, self.image_size, self.feature_width = classes, image_size, feature_width
        self.inputs: tuple[str, ...] = tuple(inputs)
        self.classical: ExpressionNetwork | None = None
        """The discriminants whose answer is added to this network's, see ``model.with_classical``."""
        self.backbones = nn.ModuleDict()
        """Input → Backbone: they learn at the lower rate, are given weights from files, and are explained."""

    @abstractmethod
    def forward(self, inputs: Inputs) -> NetworkOutput:
        """Each of ``self.inputs`` (B, C, …), normalised → NetworkOutput; others are not looked at."""

    def build_backbones(
        self, name: str, *, single_channels: int, drop_path: float = 0.0, pretrained: bool = False
    ) -> Backbone:
        """Fill ``backbones`` with one backbone called ``name`` for each input; returns the first.

        An input of one channel is repeated to ``single_channels``.
        """
        if single_channels not in (1, 3):
            raise UsageError(f"depth_channels must be 1 or 3; found {single_channels}")
        for each in self.inputs:
            channels = INPUTS[each].channels
            self.backbones[each] = Backbone(
                name,
                in_channels=single_channels if channels == 1 else channels,
                image_size=self.image_size,
                drop_path=drop_path,
                pretrained=pretrained,
            )
        return self.backbone(self.inputs[0])

    def backbone(self, name: str) -> Backbone:
        """The backbone of an input, for loading weights and for explaining."""
        backbone = self.backbones[name]
        if not isinstance(backbone, Backbone):
            raise TypeError(f"expected a Backbone, found {type(backbone).__name__}")
        return backbone

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by learning rate: ``backbone`` (usually pretrained) and ``fusion`` (all that is new)."""
        backbone = list(self.backbones.parameters())
        known = {id(parameter) for parameter in backbone}
        return {"backbone": backbone, "fusion": [p for p in self.parameters() if id(p) not in known]}

    def given(self, inputs: Inputs, name: str) -> Tensor:
        """An input (B, C, …); a missing one is an error that says so."""
        if name not in inputs:
            raise UsageError(f"this network looks at {', '.join(self.inputs)}; {name} is missing")
        return inputs[name]

    def image(self, inputs: Inputs, name: str) -> Tensor:
        """The image (B, C, S, S) of an input; a missing one, or one of another size, is an error that says so."""
        image = self.given(inputs, name)
        expected = (INPUTS[name].channels, self.image_size, self.image_size)
        if tuple(image.shape[1:]) != expected:
            found = tuple(image.shape[1:])
            raise UsageError(f"expected {name} images of (channels, height, width) {expected}; found {found}")
        return image
