"""Cross-validated training of two-stream RGB-D expression classifiers from a fer-rgbd dataset.

Needs torch and timm; needs none of fer-prep's preparation libraries. Importing this package imports neither: the
names of ``__all__`` load what they need at first use. They are what other programs may rely on
(docs/reference/python.md); everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_train.inference.predict import Prediction
    from fer_train.library import Classifier, RgbdDataset, RgbdItem, load_model

__version__ = "0.1.0"

__all__ = ["Classifier", "Prediction", "RgbdDataset", "RgbdItem", "load_model"]

_HOMES = {
    "Classifier": "library",
    "Prediction": "inference.predict",
    "RgbdDataset": "library",
    "RgbdItem": "library",
    "load_model": "library",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
