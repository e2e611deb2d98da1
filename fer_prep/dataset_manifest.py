"""The manifest of a raw dataset (``manifests/<dataset>.toml``): what a complete tree holds, and on whose terms."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fer_prep.resources import manifest_file
from fer_prep.validated import checked, read_toml


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
class Numbers:
    """Subjects that are numbered without a gap."""

    prefix: str
    """What stands before the number: ``F``."""
    first: int
    last: int
    digits: int


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Who and what is in a complete tree."""

    subjects: tuple[Numbers, ...] = ()
    recordings: tuple[str, ...] = ()
    """What every subject has, as the part of a sample's name that ``recording_key`` finds."""
    recording_key: str = ""
    """A regular expression with one group."""


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """What is known of a dataset's complete distribution."""

    dataset: str
    title: str
    classes: tuple[str, ...]
    tree: dict[str, str] = field(default_factory=dict[str, str])
    """How the tree is laid out, for people."""
    names: dict[str, str] = field(default_factory=dict[str, str])
    """How files are named, for people."""
    files: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """How names of files end that are needed, and of those that are not used, for people."""
    expected: Expected = field(default_factory=Expected)
    counts: tuple[Count, ...] = ()
    licence: dict[str, str]
    """``terms``, ``publication``, ``apply``, ``page``."""
    citation: dict[str, str]
    """``text`` and ``doi``."""

    @property
    def subjects(self) -> frozenset[str]:
        """Every subject there is, without the dataset's name: ``F0001`` …; empty where that is not known."""
        return frozenset(
            f"{of.prefix}{number:0{of.digits}d}"
            for of in self.expected.subjects
            for number in range(of.first, of.last + 1)
        )

    def recording_of(self, name: str) -> str:
        """Which of ``recordings`` a sample's name stands for; empty where none is expected."""
        match = re.search(self.expected.recording_key, name) if self.expected.recording_key else None
        return match[1] if match else ""


def load_manifest(dataset: str) -> DatasetManifest:
    """The manifest of a dataset; raises SettingsError for one that is damaged."""
    path = manifest_file("", dataset)
    return checked(DatasetManifest, read_toml(path), path=path)
