"""Raw 3D facial-expression datasets → registered RGB-D samples → one HDF5 dataset with honest folds.

The pipeline, left to right, one package per step::

    sources ──▶ prepare ──▶ prepared ──▶ merge ──▶ global_file ──▶ folds
    (native      (scene →    (PNG pairs    (streams   (the HDF5      (subject-disjoint
     files)       framed      and tables,   into       contract)      manifests)
                  RGB-D)      resumable)    HDF5)

Beside it: formats, geometry and faces make pixels; engines run the work; check and views look at what is there;
exchange goes out and in; program and cli are the terminal; sample_data makes people to try it all with.

Importing this package imports nothing heavy: the names of ``__all__`` load what they need at first use.
They are what other programs may rely on (docs/reference/python.md); everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_prep.emotions import EMOTIONS
    from fer_prep.errors import FerError
    from fer_prep.folds.folds import read_folds
    from fer_prep.folds.manifest import FoldManifest
    from fer_prep.global_file.reader import GlobalFile
    from fer_prep.library import DatasetSample, iterate_samples, open_dataset

__version__ = "0.1.0"

__all__ = [
    "EMOTIONS",
    "DatasetSample",
    "FerError",
    "FoldManifest",
    "GlobalFile",
    "iterate_samples",
    "open_dataset",
    "read_folds",
]

_HOMES = {
    "EMOTIONS": "emotions",
    "DatasetSample": "library",
    "FerError": "errors",
    "FoldManifest": "folds.manifest",
    "GlobalFile": "global_file.reader",
    "iterate_samples": "library",
    "open_dataset": "library",
    "read_folds": "folds.folds",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
