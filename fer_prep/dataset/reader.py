"""Read a ``fer-rgbd`` dataset, format version 2 (``schema`` says what is where). NumPy and h5py only.

``writer`` writes such files, ``check`` verifies them.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_prep.dataset.digest_tree import tables_digest
from fer_prep.dataset.schema import (
    AGAIN,
    attribute_text,
    dataset_at,
    open_hdf5,
    read_header,
    reading,
    statistics_shapes,
)
from fer_prep.dataset.statistics import PixelSums, total_sums
from fer_prep.dataset.stored_pixels import StoredPixels
from fer_prep.digests import SPLIT_COLUMNS, split_digest
from fer_prep.errors import DatasetFileError, UsageError
from fer_prep.landmark_set import LandmarkSet


class DatasetFile:
    """An open dataset. Picklable, and safe after a fork: every process opens its own files at first use.

    >>> with DatasetFile.open(Path("global.h5")) as data:   # doctest: +SKIP
    ...     rgb, depth = data.read("rgb", [0, 5]), data.read("depth", [0, 5])
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with open_hdf5(self.path) as root:
            header = read_header(root, self.path)
        self._header = header
        self.n, self.height, self.width = header.n, header.height, header.width
        self.classes = header.classes
        self.modalities = header.modalities
        """What is stored, of ``rgb`` and ``depth``, in this order."""
        self.digest = header.digest
        """Digest over everything in the file."""
        self.depth_unit_mm = header.depth_unit_mm
        self.created_by = header.created_by
        self.settings = header.settings
        self.landmark_schemes = header.landmark_schemes
        self.shard_names = tuple(shard.name for shard in header.shards)
        """The files beside this one that the dataset is spread over, in row order; empty where it is one file."""
        self.shard_sizes = tuple(shard.n for shard in header.shards)
        """Samples of each of them."""
        self._data_digest = ""
        self._tables: dict[str, np.ndarray] = {}
        self._landmarks: dict[str, LandmarkSet] = {}
        self._stored: StoredPixels | None = None
        self._pid = os.getpid()
        self._pixels()

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open for reading; raises DatasetFileError that says what the file is instead of a whole dataset."""
        return cls(Path(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stored": None}

    def __repr__(self) -> str:
        return f"DatasetFile({str(self.path)!r}, {self.n} samples of {self.width}×{self.height}, {self.digest[:8]})"

    def close(self) -> None:
        """Release the files; using the object afterwards opens them again."""
        if self._stored is not None and self._pid == os.getpid():
            self._stored.close()
        self._stored = None

    def _pixels(self) -> StoredPixels:
        if self._stored is None or self._pid != os.getpid():
            with self._open():  # still the same file
                self._stored, self._pid = StoredPixels(self.path, self._header), os.getpid()
        return self._stored

    @contextmanager
    def _open(self) -> Generator[h5py.File]:
        """The file, as long as it is the one that was opened first."""
        with open_hdf5(self.path) as root, reading(self.path):
            if attribute_text(root.attrs.get("digest", "")) != self.digest:
                raise DatasetFileError("the file was replaced while it was in use", path=self.path, hint="start again")
            yield root

    def _table(self, name: str) -> np.ndarray:
        """Any table by its place in the file, read once; text as a NumPy string array."""
        if name not in self._tables:
            with self._open() as root:
                dataset = dataset_at(root, name)
                is_text = h5py.check_string_dtype(dataset.dtype) is not None
                self._tables[name] = np.asarray(dataset.asstr()[:]).astype(str) if is_text else dataset[:]
        return self._tables[name]

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) sample ids, in row order (sorted)."""
        return self.column("id")

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) index into ``classes``; raises DatasetFileError where one is beyond them."""
        labels = self.column("label").astype(np.int64)
        if labels.max(initial=0) >= len(self.classes):
            raise DatasetFileError(
                path=self.path, expected=f"labels below {len(self.classes)}, one a class", found=str(labels.max())
            )
        return labels

    @property
    def data_digest(self) -> str:
        """Digest of what a split depends on: id, subject, dataset, label and clip of every row, and the classes."""
        if not self._data_digest:
            columns = {name: self.column(name) for name in SPLIT_COLUMNS}
            self._data_digest = split_digest(columns, classes=self.classes)
        return self._data_digest

    def labels_within(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """(N,) index into ``classes``, a subset of the file's; −1 where a sample's class is not among them."""
        position = {name: index for index, name in enumerate(classes)}
        return np.array([position.get(name, -1) for name in self.classes], np.int64)[self.labels]

    @property
    def soft_labels(self) -> NDArray[np.float32] | None:
        """(N, K) share of annotators for each class, rows sum to 1; None where the file has none."""
        return self._table("labels/soft") if "labels/soft" in self._header.tables else None

    def column(self, name: str) -> np.ndarray:
        """One column of ``/samples``: (N,) or (N, 2); text as a NumPy string array."""
        if name not in self.column_names():
            raise DatasetFileError(f"no column {name!r}; there are: {', '.join(self.column_names())}", path=self.path)
        return self._table(f"samples/{name}")

    def column_names(self) -> tuple[str, ...]:
        """The columns this file has."""
        tables = self._header.tables
        return tuple(name.removeprefix("samples/") for name in tables if name.startswith("samples/"))

    def landmarks(self, scheme: str) -> LandmarkSet:
        """The landmarks of one of ``landmark_schemes``: one entry a row, NaN where unknown."""
        if scheme not in self.landmark_schemes:
            there = ", ".join(self.landmark_schemes) or "none"
            raise UsageError(f"no landmarks {scheme!r}; there are: {there}", path=self.path)
        if scheme in self._landmarks:
            return self._landmarks[scheme]
        place = f"landmarks/{scheme}"
        with self._open() as root:
            names = np.atleast_1d(np.asarray(root[place].attrs["names"]))
        there = [name for name in ("points_px", "points_mm", "vertex") if f"{place}/{name}" in self._header.tables]
        tables: dict[str, Any] = {name: self._table(f"{place}/{name}") for name in there}
        self._landmarks[scheme] = LandmarkSet(names=tuple(attribute_text(name) for name in names), **tables)
        return self._landmarks[scheme]

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of ids, in the order given; an unknown id is an error."""
        wanted = np.asarray(ids, dtype=str).reshape(-1)
        order = np.argsort(self.ids, kind="stable")
        places = order[np.minimum(np.searchsorted(self.ids, wanted, sorter=order), self.n - 1)]
        unknown = wanted[self.ids[places] != wanted]
        if len(unknown):
            raise DatasetFileError(f"{len(unknown)} ids are not in this dataset, e.g. {unknown[0]}", path=self.path)
        return places.astype(np.int64)

    def read(self, modality: str, rows: ArrayLike) -> NDArray[Any]:
        """Pixels of rows in any order: (n, H, W, 3) u1 sRGB for ``rgb``, (n, H, W) u2 for ``depth`` (0: no data).

        Raises UsageError where the file does not store the modality, IndexError for a row that it does not have.
        """
        if modality not in self.modalities:
            raise UsageError(f"no {modality} is stored; there is: {', '.join(self.modalities)}", path=self.path)
        wanted = np.asarray(rows, np.int64).reshape(-1)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < self.n):
            raise IndexError(f"rows {wanted.min()}…{wanted.max()} of a dataset of {self.n}")
        try:
            return self._pixels().read(modality, wanted)
        except OSError as error:
            raise DatasetFileError(f"cannot read pixels: {error}", path=self.path) from error

    def read_sample(self, row: int) -> dict[str, NDArray[Any]]:
        """All that is stored of one sample, by modality; see ``read``."""
        return {modality: self.read(modality, [row])[0] for modality in self.modalities}

    def statistics(self, rows: ArrayLike) -> PixelSums:
        """Pixel sums over the given rows, from the stored per-sample sums: no pixel is read."""
        return total_sums({name: self.statistic(name) for name in statistics_shapes(self.modalities)}, rows)

    def statistic(self, name: str) -> NDArray[np.uint64]:
        """(N,) or (N, 3) one of the per-sample sums, see ``schema.STATISTICS``."""
        return self._table(f"statistics/{name}")

    def verify_tables(self) -> None:
        """Raise DatasetFileError unless all tables and attributes, of shards too, are those that were written.

        Reads every table and no pixels: milliseconds. ``fer-prep check --deep`` compares the pixels as well.
        """
        shards = [(self.path.with_name(shard.name), shard.digest) for shard in self._header.shards]
        for path, digest in [(self.path, self.digest), *shards]:
            with open_hdf5(path) as root, reading(path):
                if tables_digest(root) != digest:
                    raise DatasetFileError(
                        "its tables or attributes are not those it was written with (the digest does not fit)",
                        path=path,
                        hint=AGAIN,
                    )
