"""Raw datasets. A source is one file here, one line in ``SOURCES``, and one manifest in ``manifests/``.

Another package can add a source through the entry-point group ``fer_prep.sources``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from fer_prep.sample import Listing, Sample, Scene


class Source(Protocol):
    """One raw dataset: lists what a tree holds, loads one recording.

    Sources are frozen dataclasses whose fields are their options, so that they travel to worker processes.
    """

    @property
    def dataset(self) -> str:
        """The dataset's name: ``bu3dfe``, ``bosphorus`` …"""
        ...

    def settings(self) -> Mapping[str, Any]:
        """The options that change what ``load`` returns, JSON-able: part of every sample's content key."""
        ...

    def list_samples(self, root: Path) -> Listing:
        """Read names and label files only.

        Raises UsageError (two lines, naming the tree that was expected) where ``root`` is not such a tree.
        """
        ...

    def load(self, sample: Sample) -> Scene:
        """Read one recording; raises SampleError (or FormatError) naming the file, what was expected and found."""
        ...
