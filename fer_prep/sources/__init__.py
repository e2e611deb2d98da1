"""Raw datasets. A source is one file here, one line in ``SOURCES``, and one manifest in ``manifests/``.

Another package can add a source through the entry-point group ``fer_prep.sources``: the name of the entry point is the
dataset's, its object is called with the options and returns a ``Source``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from fer_prep.errors import UsageError
from fer_prep.sample import Listing, Sample, Scene

ENTRY_POINT_GROUP: Final = "fer_prep.sources"

SOURCES: Final[dict[str, str]] = {
    "bu3dfe": "fer_prep.sources.bu3dfe:Bu3dfe",
    "bosphorus": "fer_prep.sources.bosphorus:Bosphorus",
    "cald3r": "fer_prep.sources.cald3r_mend3s:cald3r",
    "mend3s": "fer_prep.sources.cald3r_mend3s:mend3s",
}
"""Dataset → what makes its source (``module:name``, imported when it is asked for)."""


class Source(Protocol):
    """One raw dataset: lists what a tree holds, loads one recording.

    Sources are frozen dataclasses whose fields are their options, so that they travel to worker processes.
    """

    @property
    def dataset(self) -> str:
        """The dataset's name: ``bu3dfe``, ``bosphorus`` …"""
        ...

    def settings(self) -> Mapping[str, Any]:
        """All options that matter to the outcome, JSON-able: what ``prepared.json`` says about the source."""
        ...

    def load_settings(self) -> Mapping[str, Any]:
        """Those of ``settings`` that change what ``load`` returns for a sample: part of the sample's content key.

        Options that only decide labels, or which recordings are used, are not among them: no pixels are made again.
        """
        ...

    def list_samples(self, root: Path) -> Listing:
        """Read names and label files only.

        Raises UsageError (two lines, naming the tree that was expected) where ``root`` is not such a tree.
        """
        ...

    def load(self, sample: Sample) -> Scene:
        """Read one recording; raises SampleError (or FormatError) naming the file, what was expected and found."""
        ...


@runtime_checkable
class RecordsDepth(Protocol):
    """A source of recorded depth whose unit somebody had to state: preparation checks it against the size of faces."""

    @property
    def depth_unit_mm(self) -> float:
        """Millimetres per step of the recorded depth."""
        ...

    @property
    def focal_px(self) -> float | None:
        """Focal length in pixels of the recorded pictures, which makes the check exact; None where nobody knows."""
        ...


def _makers() -> dict[str, EntryPoint]:
    """Every known source by name: those of this package cannot be replaced by an installed one."""
    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    own = {name: EntryPoint(name, value, ENTRY_POINT_GROUP) for name, value in SOURCES.items()}
    return installed | own


def source_names() -> tuple[str, ...]:
    """The names of all sources, this package's and installed ones, sorted."""
    return tuple(sorted(_makers()))


def make_source(name: str, **options: Any) -> Source:
    """The source of a dataset with the given options; raises UsageError for an unknown name or option."""
    makers = _makers()
    if name not in makers:
        raise UsageError(f"no source called {name!r}; known: {', '.join(sorted(makers))}")
    maker: Callable[..., Source] = makers[name].load()
    try:
        return maker(**options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"source {name}: {error}") from None
