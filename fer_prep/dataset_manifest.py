"""The manifest of a raw dataset (``manifests/<dataset>.toml``): what a complete tree holds, and on whose terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fer_prep.errors import SettingsError
from fer_prep.resources import manifest_file
from fer_prep.validated import read_toml


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number that a complete tree has."""

    what: str
    """``subjects``, ``samples``, ``scans``, ``emotion scans`` or ``neutral scans``."""
    value: int
    verified: bool
    """False where the number is hearsay."""
    source: str


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """What is known of a dataset's complete distribution."""

    dataset: str
    title: str
    classes: tuple[str, ...]
    subjects: frozenset[str] = frozenset()
    """Every subject there is, without the dataset's name: ``F0001`` …; empty where that is not known."""
    recordings: tuple[str, ...] = ()
    """What every subject has, as the part of a sample's name that ``recording_key`` finds."""
    recording_key: str = ""
    counts: tuple[Count, ...] = ()
    licence: Mapping[str, str] = field(default_factory=dict[str, str])
    citation: Mapping[str, str] = field(default_factory=dict[str, str])

    def recording_of(self, name: str) -> str:
        """Which of ``recordings`` a sample's name stands for; empty where none is expected."""
        match = re.search(self.recording_key, name) if self.recording_key else None
        return match[1] if match else ""


def load_manifest(dataset: str) -> DatasetManifest:
    """The manifest of a dataset; raises SettingsError for one that is damaged."""
    path = manifest_file("", dataset)
    try:
        table = read_toml(path)
        expected = table.get("expected", {})
        return DatasetManifest(
            dataset=table["dataset"],
            title=table["title"],
            classes=tuple(table["classes"]),
            subjects=frozenset(name for numbers in expected.get("subjects", []) for name in _subjects(**numbers)),
            recordings=tuple(expected.get("recordings", [])),
            recording_key=expected.get("recording_key", ""),
            counts=tuple(Count(**count) for count in table.get("counts", [])),
            licence=table["licence"],
            citation=table["citation"],
        )
    except (KeyError, TypeError) as error:
        raise SettingsError(f"expected a dataset manifest; found: {error}", path=path) from None


def _subjects(*, prefix: str, first: int, last: int, digits: int) -> list[str]:
    return [f"{prefix}{number:0{digits}d}" for number in range(first, last + 1)]
