"""One stream of the network: any timm image model, cut after its last feature map.

For the EfficientNets that is the output of the last inverted residual block, before the 1 × 1 head convolution:
352 × 9 × 9 for ``efficientnet_b2`` at 260². What lies behind the cut is removed, so no parameter is left untrained.
"""

from __future__ import annotations

import difflib
from typing import Any, Final, final

import timm
import torch
from torch import Tensor, nn

from fer_prep.errors import UsageError

SMALLEST_IMAGE: Final = 32
"""Below this side (pixels) no timm model keeps a feature map worth attending to."""


@final
class Backbone(nn.Module):
    """A timm model without its head: (B, C, H, W) picture → (B, ``channels``, h, w) last feature map.

    ``grid`` is (h, w) for a picture of ``image_size``². The parameters keep timm's own names under ``trunk``, so that
    weight files made for the whole model fit; ``whole_model_names`` are its names before the cut (see ``pretrained``).
    """

    def __init__(
        self,
        name: str,
        *,
        image_size: int,
        in_channels: int = 3,
        drop_path: float = 0.0,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        check_backbone_name(name)
        self.name, self.image_size, self.in_channels = name, image_size, in_channels
        trunk = _create_trunk(
            name, image_size=image_size, in_channels=in_channels, drop_path=drop_path, pretrained=pretrained
        )
        self.trunk, self.whole_model_names = trunk, frozenset(trunk.state_dict())
        trunk.prune_intermediate_layers(1, prune_norm=True, prune_head=True)  # type: ignore[operator]
        shape = _measure_feature_map(self, image_size=image_size, in_channels=in_channels)
        self.channels: int = shape[1]
        self.grid: tuple[int, int] = (shape[2], shape[3])

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) normalised image → (B, channels, h, w); one channel is repeated where the stem wants three."""
        # the channels of a pixel side by side in memory, as convolutions like it best
        image = image.expand(-1, self.in_channels, -1, -1).contiguous(memory_format=torch.channels_last)
        return self.trunk.forward_intermediates(image, indices=1, intermediates_only=True)[-1]  # type: ignore[operator]


def check_backbone_name(name: str) -> None:
    """Raise UsageError with the nearest names when timm has no model called ``name``."""
    architecture = name.split(".", 1)[0]
    known = timm.list_models()
    if architecture in known:
        return
    nearest = difflib.get_close_matches(architecture, known, n=4, cutoff=0.4)
    raise UsageError(
        f"timm {timm.__version__} has no backbone {name!r}; nearest: {', '.join(nearest) or 'none'}",
        hint="python -c 'import timm; print(timm.list_models())' lists all",
    )


def _create_trunk(name: str, *, image_size: int, in_channels: int, drop_path: float, pretrained: bool) -> nn.Module:
    settings: dict[str, Any] = {"in_chans": in_channels, "num_classes": 0, "drop_path_rate": drop_path or None}
    published = timm.get_pretrained_cfg(name)
    if published is not None and published.fixed_input_size:
        # transformers have a positional embedding, made for one size
        settings["img_size"] = image_size
    if pretrained and not (published is not None and published.has_weights):
        raise UsageError(f"timm has no pretrained weights for {name!r}", hint="give a file with --weights, or none")
    try:
        trunk = timm.create_model(name, pretrained=pretrained, **settings)
    except OSError as error:
        raise UsageError(
            f"timm cannot fetch the pretrained weights of {name!r}: {str(error).splitlines()[0]}",
            hint="they come over the network; offline, give a local file with --weights, or train from scratch",
        ) from error
    except (AssertionError, ValueError) as error:
        raise UsageError(f"timm cannot make {name!r} for pictures of {image_size} × {image_size}: {error}") from error
    if not (hasattr(trunk, "forward_intermediates") and hasattr(trunk, "prune_intermediate_layers")):
        raise UsageError(
            f"the timm model {name!r} does not give out its feature maps", hint="efficientnet_b2 and resnet18 do"
        )
    return trunk


def _measure_feature_map(backbone: Backbone, *, image_size: int, in_channels: int) -> torch.Size:
    """Shape (1, C, h, w) that a picture of ``image_size``² becomes; too small a picture is an error."""
    if image_size < SMALLEST_IMAGE:
        raise UsageError(
            f"pictures of {image_size} × {image_size} pixels are too small for {backbone.name!r}: "
            f"expected at least {SMALLEST_IMAGE}",
            hint="choose a larger --image-size",
        )
    was_training = backbone.training
    backbone.eval()
    with torch.no_grad():
        shape = backbone(torch.zeros(1, in_channels, image_size, image_size)).shape
    backbone.train(was_training)
    if len(shape) != 4 or min(shape[2:]) < 1:
        raise UsageError(f"{backbone.name!r} gives no 2-D feature map of a {image_size}² picture, but {tuple(shape)}")
    return shape
