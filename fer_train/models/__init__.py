"""The networks by name. A new one is one file here and one line in ``MODELS``.

``network`` says what every network is; ``two_stream``, the thesis's, puts together ``backbone``,
``spatial_attention``, ``fusion`` and ``encoder``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from fer_prep.errors import UsageError

if TYPE_CHECKING:
    from fer_train.models.network import ExpressionNetwork

MODELS: Final[dict[str, str]] = {
    "two-stream": "fer_train.models.two_stream:TwoStreamNetwork",
}
"""Name → ``module:class``, imported when it is asked for: settings are read without loading timm."""


def make_network(name: str, *, classes: int, image_size: int, **settings: Any) -> ExpressionNetwork:
    """Build a network by name with the settings of ``[model]``; an unknown name is a UsageError."""
    if name not in MODELS:
        raise UsageError(f"unknown network {name!r}; legal: {', '.join(MODELS)}")
    module, _, class_name = MODELS[name].partition(":")
    network: ExpressionNetwork = getattr(import_module(module), class_name)(
        classes=classes, image_size=image_size, **settings
    )
    return network
