"""Write a ``fer-rgbd`` dataset, one sample at a time, so that equal inputs give equal bytes.

Bytes are reproducible because nothing in the file knows the time, the machine or the order of threads: no object
times, the oldest file layout, fixed-length text, everything written in row order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from fer_prep import __version__
from fer_prep.dataset.digest_tree import tables_digest
from fer_prep.dataset.disk_errors import discard, os_errors, sync
from fer_prep.dataset.schema import FORMAT, FORMAT_VERSION, MODALITIES, ShardEntry, statistics_shapes
from fer_prep.dataset.statistics import pixel_statistics
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.digests import pixel_digest
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import UsageError
from fer_prep.landmark_set import LandmarkSet
from fer_prep.samples_table import COLUMNS, Column, Row, column_array

CREATED_BY: Final = f"fer-prep {__version__}"

_PAGE: Final = 4096
"""Pixels begin at a multiple of so many bytes."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A sample ready to be stored: its row (label an index into the file's classes, digest set), pixels and sums."""

    row: Row
    pixels: Mapping[str, NDArray[Any]]
    """By modality: ``rgb`` (H, W, 3) u1, ``depth`` (H, W) u2."""
    statistics: Mapping[str, NDArray[np.uint64]]


def measure(
    row: Mapping[str, Any], rgb: NDArray[np.uint8] | None, depth: NDArray[np.uint16] | None, *, digest: str = ""
) -> Measured:
    """Digest and sums of one sample's pixels: the part of writing that can run beside it, in a thread.

    ``digest`` spares computing it where it was just verified against these very pixels.
    """
    both = {"rgb": rgb, "depth": depth}
    pixels = {name: np.ascontiguousarray(part, MODALITIES[name][0]) for name, part in both.items() if part is not None}
    row = {**row, "digest": digest or pixel_digest(rgb, depth)}
    return Measured(row=row, pixels=pixels, statistics=pixel_statistics(rgb, depth))


@dataclass(kw_only=True)
class Tables:
    """Everything of a file but pixels, in row order."""

    classes: Sequence[str]
    modalities: tuple[str, ...]
    rows: list[Row] = field(default_factory=list[Row])
    statistics: dict[str, list[NDArray[np.uint64]]] = field(default_factory=dict[str, "list[NDArray[np.uint64]]"])
    landmarks: Mapping[str, LandmarkSet] = field(default_factory=dict[str, LandmarkSet])
    """Scheme → one entry a row."""
    soft_labels: NDArray[np.float32] | None = None
    """(N, K) shares of the classes; None where nobody gave any."""

    def append(self, sample: Measured) -> None:
        """The row and the sums of the next sample."""
        self.rows.append(sample.row)
        for name in statistics_shapes(self.modalities):
            self.statistics.setdefault(name, []).append(sample.statistics[name])


class DatasetWriter:
    """Writes the samples of one file in row order; ``finish`` completes it. Memory does not grow with the pixels.

    ``n`` samples of ``size`` × ``size``; ``compression`` is None or the keywords of ``h5py.create_dataset``.
    The file must be renamed into place by the caller: until ``finish`` it is not a dataset.
    """

    def __init__(
        self,
        path: Path,
        *,
        n: int,
        size: int,
        classes: Sequence[str] = EMOTIONS,
        modalities: tuple[str, ...] = tuple(MODALITIES),
        compression: Mapping[str, Any] | None = None,
    ) -> None:
        if n == 0:
            raise UsageError("there is nothing to write: no sample is left", path=path)
        self.path, self.n = path, n
        self.tables = Tables(classes=tuple(classes), modalities=modalities)
        with os_errors(path):
            self._file = create_file(path)
            try:
                self._pixels = {name: self._create(name, n, size, compression) for name in modalities}
            except BaseException:
                discard(self._file, path)
                raise

    def _create(self, name: str, n: int, size: int, compression: Mapping[str, Any] | None) -> h5py.Dataset:
        """Contiguous, or one compressed chunk a sample."""
        kind, rest = MODALITIES[name]
        options = {} if compression is None else {"chunks": (1, size, size, *rest), **compression}
        return self._file.create_dataset(name, (n, size, size, *rest), kind, track_times=False, **options)

    def append(self, sample: Measured) -> None:
        """Store the next sample; raises OSError naming the file where the disk is full."""
        with os_errors(self.path):
            for name, pixels in self._pixels.items():
                pixels[len(self.tables.rows)] = sample.pixels[name]
        self.tables.append(sample)

    def finish(
        self,
        *,
        settings: Mapping[str, Any],
        landmarks: Mapping[str, LandmarkSet] | None = None,
        soft_labels: NDArray[np.float32] | None = None,
    ) -> str:
        """Write tables and attributes, close and sync the file; return its digest."""
        if len(self.tables.rows) != self.n:
            raise UsageError(f"{self.n} samples were announced, {len(self.tables.rows)} written", path=self.path)
        self.tables.landmarks, self.tables.soft_labels = landmarks or {}, soft_labels
        with os_errors(self.path):
            digest = write_tables(self._file, self.tables, settings=settings)
            self._pixels = {}
            self._file.close()
        sync(self.path)
        return digest

    def abandon(self) -> None:
        """Close and remove the unfinished file, also where its disk takes nothing any more."""
        discard(self._file, self.path)


def create_file(path: Path) -> h5py.File:
    """A new HDF5 file; its pixels can be mapped into memory page by page."""
    return h5py.File(
        path, "w", libver="earliest", track_order=False, alignment_threshold=16 * _PAGE, alignment_interval=_PAGE
    )


def write_tables(
    root: h5py.File, tables: Tables, *, settings: Mapping[str, Any], shards: Sequence[ShardEntry] = ()
) -> str:
    """Write all tables and attributes of a file, which is then flushed; return its digest."""
    # kept until the file is flushed: a dataset that is let go writes what it has buffered, and h5py cannot raise then
    kept = [_write_column(root, column, tables.rows) for column in COLUMNS]
    for name, sums in tables.statistics.items():
        kept.append(_create_table(root, f"statistics/{name}", np.stack(sums)))
    for scheme, landmarks in tables.landmarks.items():
        for name in ("points_px", "points_mm", "vertex"):
            if (values := getattr(landmarks, name)) is not None:
                kept.append(_create_table(root, f"landmarks/{scheme}/{name}", values))
        root[f"landmarks/{scheme}"].attrs["names"] = list(landmarks.names)
    if tables.soft_labels is not None:
        kept.append(_create_table(root, "labels/soft", tables.soft_labels))
    root.attrs["format"], root.attrs["format_version"] = FORMAT, FORMAT_VERSION
    root.attrs["classes"], root.attrs["modalities"] = list(tables.classes), list(tables.modalities)
    root.attrs["depth_unit_mm"], root.attrs["created_by"] = UNIT_MM, CREATED_BY
    root.attrs["settings"] = json.dumps(settings, sort_keys=True)
    if shards:
        root.attrs["shards"] = json.dumps([[shard.name, shard.n, shard.digest] for shard in shards])
    digest = tables_digest(root)
    root.attrs["digest"] = digest
    root.flush()
    return digest


def _create_table(root: h5py.File, name: str, values: NDArray[Any]) -> h5py.Dataset:
    return root.create_dataset(name, data=values, track_times=False)


def _write_column(root: h5py.File, column: Column, rows: Sequence[Mapping[str, Any]]) -> h5py.Dataset:
    name = f"samples/{column.name}"
    if column.kind != "str":
        return _create_table(root, name, column_array(column, rows))
    # fixed length: smaller and faster than variable-length text, and every tool reads it
    texts = [str(row[column.name]).encode() for row in rows]
    kind = h5py.string_dtype("utf-8", max(1, *(len(text) for text in texts)))
    return _create_table(root, name, np.array(texts, dtype=kind))
