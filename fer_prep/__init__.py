"""Raw 3D facial-expression datasets → registered RGB-D samples → one HDF5 dataset with honest folds.

The pipeline, left to right, one package per step::

    sources ──▶ prepare ──────────▶ merge ──▶ dataset ──▶ folds
    (native      (scene → framed      (streams   (the HDF5    (subject-disjoint
     files)       RGB-D → a folder     into       contract)    manifests)
                  that resumes)        HDF5)

Beside it: formats, geometry and faces make pixels; engines run the work; inspection looks at what is there;
exchange goes out and in; cli is the terminal; sample_data makes people to try it all with.

Importing this package imports nothing heavy: the names of ``__all__`` load what they need at first use.
They are what other programs may rely on (docs/reference/python.md); everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.emotions import EMOTIONS
    from fer_prep.errors import FerError
    from fer_prep.folds.manifest import FoldManifest
    from fer_prep.folds.splits import read_folds
    from fer_prep.library import DatasetSample, iterate_samples, open_dataset

__version__ = "0.1.0"

__all__ = [
    "EMOTIONS",
    "DatasetFile",
    "DatasetSample",
    "FerError",
    "FoldManifest",
    "iterate_samples",
    "open_dataset",
    "read_folds",
]

_HOMES = {
    "EMOTIONS": "emotions",
    "DatasetSample": "library",
    "FerError": "errors",
    "FoldManifest": "folds.manifest",
    "DatasetFile": "dataset.reader",
    "iterate_samples": "library",
    "open_dataset": "library",
    "read_folds": "folds.splits",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
