"""A prepared folder: where things are in it, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints

from fer_prep.errors import PreparedFolderError
from fer_prep.landmark_set import LandmarkSet
from fer_prep.prepare.folder_tables import SOFT, read_rejections, read_samples
from fer_prep.prepare.landmark_tables import read_table
from fer_prep.sample import Rejection
from fer_prep.samples_table import Row
from fer_prep.validated import checked, read_json

FORMAT: Final = "fer-prepared"
FORMAT_VERSION: Final = 2

SUMMARY, SAMPLES, REJECTED, LEFT_OUT = "prepared.json", "samples.csv", "rejected.csv", "left_out.csv"
PREVIEW: Final = "preview.png"
LANDMARKS: Final = "landmarks"
RECORDS: Final = ".records.jsonl"
MARKERS: Final = (SUMMARY, RECORDS)
"""One of them is in every prepared folder, whole or half done."""
_SAMPLE_FILES: Final = {"rgb": ("rgb", ".png"), "depth": ("depth", ".png"), "landmarks": (".landmarks", ".npz")}
"""What is kept of a sample → its folder and suffix. The archives of landmarks are joined in ``landmarks/``."""
KINDS: Final = tuple(_SAMPLE_FILES)

_HOW: Final = "make one with fer-prep render-bu3dfe, render-bosphorus, align, prepare or import"


def files_of(folder: Path, kind: str) -> Path:
    """The folder of the samples' files of a kind: ``rgb``, ``depth`` or ``landmarks``."""
    return folder / _SAMPLE_FILES[kind][0]


def sample_file(folder: Path, kind: str, name: str) -> Path:
    """A file of the sample ``name`` (its id without the dataset): a picture, a 16-bit depth map, its landmarks."""
    return files_of(folder, kind) / f"{name}{_SAMPLE_FILES[kind][1]}"


def table_name(scheme: str) -> str:
    """The table of a landmark scheme, relative to the folder."""
    return f"{LANDMARKS}/{scheme}.npz"


_Name = Annotated[str, StringConstraints(pattern=r"^\w[\w .+-]*$")]
_Place = Annotated[str, StringConstraints(pattern=r"^(\w[\w .+-]*/)?\w[\w .+-]*$")]


@dataclass
class _Settings:
    size: Annotated[int, Field(ge=1, le=4096)]


@dataclass
class _Counts:
    samples: int


@dataclass
class _Part:
    index: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1, le=100_000)]
    listing: str


@dataclass
class Summary:
    """What ``prepared.json`` must say; names from a file are names, and lead nowhere else."""

    dataset: _Name
    settings: _Settings
    tables: dict[_Place, str]
    digest: str
    depth_unit_mm: float
    modalities: list[Literal["rgb", "depth"]]
    classes: list[_Name]
    landmarks: list[_Name]
    counts: _Counts
    part: _Part | None = None


@dataclass(frozen=True, kw_only=True)
class PreparedFolder:
    """A whole prepared folder; make it with ``open``."""

    path: Path
    summary: Mapping[str, Any]
    """The content of ``prepared.json``."""

    @classmethod
    def open(cls, path: Path) -> PreparedFolder:
        """Open a folder; raises PreparedFolderError where it is half done, of another version or something else."""
        return cls(path=path, summary=_read_summary(path))

    @property
    def dataset(self) -> str:
        """``bu3dfe``, ``bosphorus`` …"""
        return self.summary["dataset"]

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it was prepared: ``size``, ``framing``, ``mask``, ``landmarks``, ``unfound`` and the ``source``'s own."""
        return self.summary["settings"]

    @property
    def modalities(self) -> tuple[str, ...]:
        """What every sample has: of ``rgb`` and ``depth``, in this order."""
        return tuple(self.summary["modalities"])

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels mean."""
        return tuple(self.summary["classes"])

    @property
    def digest(self) -> str:
        """Digest over the (sample digest, label) pairs."""
        return self.summary["digest"]

    @cached_property
    def rows(self) -> list[Row]:
        """The samples, sorted by id; shares of annotators are columns ``soft_<class>``."""
        return read_samples(self.path / SAMPLES)

    @cached_property
    def soft_labels(self) -> NDArray[np.float32] | None:
        """(N, K) the annotators' shares; None where the dataset has none."""
        names = [f"{SOFT}{name}" for name in self.classes]
        if not self.rows or any(name not in self.rows[0] for name in names):
            return None
        return np.array([[row[name] for name in names] for row in self.rows], np.float32)

    @cached_property
    def landmarks(self) -> Mapping[str, LandmarkSet]:
        """Scheme → the landmarks of all samples, in the order of ``rows``."""
        ids = [row["id"] for row in self.rows]
        return {scheme: read_table(self.path / table_name(scheme), ids=ids) for scheme in self.summary["landmarks"]}

    @cached_property
    def rejections(self) -> list[Rejection]:
        """What could not be prepared, and why."""
        return read_rejections(self.path / REJECTED)

    @cached_property
    def left_out(self) -> list[Rejection]:
        """What the label policy does not use, and why."""
        return read_rejections(self.path / LEFT_OUT)

    def rgb_path(self, name: str) -> Path:
        """The colour picture of a sample (``name`` is its id without the dataset)."""
        return sample_file(self.path, "rgb", name)

    def depth_path(self, name: str) -> Path:
        """The 16-bit depth of a sample."""
        return sample_file(self.path, "depth", name)


def _read_summary(path: Path) -> Mapping[str, Any]:
    """``prepared.json`` of a whole folder of this format and version."""
    if not path.is_dir():
        raise PreparedFolderError(
            expected="a prepared folder", found="a file" if path.exists() else "nothing", path=path, hint=_HOW
        )
    file = path / SUMMARY
    if not file.is_file():
        if (path / RECORDS).is_file():
            raise PreparedFolderError(
                "half done: a run was stopped here, or is still going on",
                path=path,
                hint="run the command that prepared it again: it continues",
            )
        raise PreparedFolderError(expected=f"a prepared folder ({SUMMARY})", found="none", path=path, hint=_HOW)
    again = "run the command that prepared it again: what is up to date is not made again"
    try:
        summary = read_json(file, error=PreparedFolderError)
    except PreparedFolderError as error:
        raise PreparedFolderError(error.message, path=file, hint=again) from None
    if not isinstance(summary, dict) or not {"format", "format_version"} <= summary.keys():
        found = "no key format_version" if isinstance(summary, dict) else "no JSON object of that kind"
        raise PreparedFolderError(expected=f"a {FORMAT} description", found=found, path=file, hint=again)
    kind, version = summary["format"], summary["format_version"]
    if kind != FORMAT or version != FORMAT_VERSION:
        newer = kind == FORMAT and isinstance(version, int) and version > FORMAT_VERSION
        raise PreparedFolderError(
            expected=f"{FORMAT} version {FORMAT_VERSION}",
            found=f"{kind} version {version}",
            path=file,
            hint="update fer-rgbd" if newer else "run the command that prepared it again: it prepares it anew",
        )
    try:
        checked(Summary, summary, path=file, error=PreparedFolderError, others=True)
    except PreparedFolderError as error:
        raise PreparedFolderError(error.message, path=file, hint="prepare it again with this version") from None
    return summary
