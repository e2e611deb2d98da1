"""The networks by name. A new one is one file here and one line in ``MODELS``.

``network`` says what every network is; ``two_stream``, the thesis's, puts together ``backbone``,
``spatial_attention``, ``fusion`` and ``encoder``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from fer_prep.errors import UsageError

if TYPE_CHECKING:
    from fer_train.models.network import ExpressionNetwork

MODELS: Final[dict[str, str]] = {
    "two-stream": "fer_train.models.two_stream:TwoStreamNetwork",
    "pointnet": "fer_train.models.pointnet:PointNetwork",
    "voxnet": "fer_train.models.voxnet:VoxelNetwork",
    "classical": "fer_train.classical.network:ClassicalNetwork",
}
"""Name → ``module:class``, imported when it is asked for: settings are read without loading timm."""

OWN_INPUT: Final[dict[str, str]] = {"pointnet": "points", "voxnet": "voxels"}
"""What a network looks at in place of pictures, where nothing else is said."""


def network_class(name: str) -> type[ExpressionNetwork]:
    """A network by name; an unknown one is a UsageError."""
    if name not in MODELS:
        raise UsageError(f"unknown network {name!r}; legal: {', '.join(MODELS)}")
    module, _, class_name = MODELS[name].partition(":")
    found: type[ExpressionNetwork] = getattr(import_module(module), class_name)
    return found
