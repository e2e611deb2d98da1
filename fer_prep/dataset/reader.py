"""Read a ``fer-rgbd`` dataset (design: the HDF5 contract, version 1). NumPy and h5py only.

::

    /rgb      (N, H, W, 3) u1      /samples/<column>   (N[, 2])   the columns of ``samples_table``
    /depth    (N, H, W)    u2      /statistics/<name>  (N[, 3])   exact pixel sums, see ``schema``
    root attributes: format, format_version, classes, depth_unit_mm, created_by, settings (JSON), digest

``writer`` writes such files, ``check`` verifies them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_prep.dataset.schema import STATISTICS, attribute_text, check_schema, dataset_at, open_hdf5
from fer_prep.errors import DatasetFileError


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums over many pixels of C channels, exact integers; mean and standard deviation follow in float64."""

    count: int
    total: tuple[int, ...]
    total_of_squares: tuple[int, ...]

    @property
    def mean(self) -> NDArray[np.float64]:
        """(C,) mean of the stored values; NaN where no pixel counts."""
        if not self.count:
            return np.full(len(self.total), np.nan)
        return np.array([total / self.count for total in self.total])

    @property
    def std(self) -> NDArray[np.float64]:
        """(C,) population standard deviation (divided by the count, not by count − 1)."""
        if not self.count:
            return np.full(len(self.total), np.nan)
        # n·Σx² − (Σx)² in whole numbers: no cancellation
        spreads = [
            self.count * squares - total * total
            for total, squares in zip(self.total, self.total_of_squares, strict=True)
        ]
        return np.array([spread**0.5 / self.count for spread in spreads])


@dataclass(frozen=True, kw_only=True)
class PixelSums:
    """What the normalisation of a set of samples needs, in stored units (0–255, 0–65535)."""

    rgb: Moments
    """Three channels, all pixels."""
    rgb_valid: Moments
    """Three channels, only pixels with depth."""
    depth: Moments
    """One channel, only pixels with depth."""


class DatasetFile:
    """An open dataset. Picklable, and safe after a fork: every process opens its own handle at first use.

    >>> with DatasetFile.open(Path("global.h5")) as data:   # doctest: +SKIP
    ...     rgb, depth = data.read_rgb([0, 5]), data.read_depth([0, 5])
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._handle: h5py.File | None = None
        self._pid = -1
        self._datasets: dict[str, h5py.Dataset] = {}
        self._columns: dict[str, np.ndarray] = {}
        root = self._open()
        check_schema(root, self.path)
        attrs = root.attrs
        self.classes: tuple[str, ...] = tuple(
            attribute_text(name) for name in np.atleast_1d(np.asarray(attrs["classes"]))
        )
        self.digest: str = attribute_text(attrs["digest"])
        self.depth_unit_mm = float(np.asarray(attrs["depth_unit_mm"]).item())
        self.created_by: str = attribute_text(attrs["created_by"])
        self.settings: dict[str, Any] = json.loads(attribute_text(attrs["settings"]))
        shards = json.loads(attribute_text(attrs.get("shards", "[]")))
        self.shard_names: tuple[str, ...] = tuple(name for name, _, _ in shards)
        """The files beside this one that the dataset is spread over, in row order; empty where it is one file."""
        self.shard_sizes: tuple[int, ...] = tuple(n for _, n, _ in shards)
        """Rows of each of them."""
        self.n = int(dataset_at(root, "rgb").shape[0])
        self.height, self.width = (int(v) for v in dataset_at(root, "rgb").shape[1:3])

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open for reading; raises DatasetFileError that says what the file is instead of a whole dataset."""
        return cls(Path(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None, "_pid": -1, "_datasets": {}}

    def __repr__(self) -> str:
        return f"DatasetFile({str(self.path)!r}, {self.n} samples of {self.width}×{self.height}, {self.digest[:8]})"

    def close(self) -> None:
        """Release the file; using the object afterwards opens it again."""
        if self._handle is not None and self._pid == os.getpid():
            self._handle.close()
        self._handle, self._datasets = None, {}

    def _pixels(self, name: str) -> h5py.Dataset:
        """``/rgb`` or ``/depth``, opened once in each process: looking it up costs as much as reading a sample."""
        root = self._open()
        if name not in self._datasets:
            self._datasets[name] = dataset_at(root, name)
        return self._datasets[name]

    def _open(self) -> h5py.File:
        if self._handle is None or self._pid != os.getpid():
            # a handle inherited through fork shares its file position and caches with the parent: leave it alone
            self._handle, self._pid, self._datasets = open_hdf5(self.path), os.getpid(), {}
        return self._handle

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) sample ids, in row order (sorted)."""
        return self.column("id")

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) index into ``classes``."""
        return self.column("label").astype(np.int64)

    def labels_within(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """(N,) index into ``classes``, a subset of the file's; −1 where a sample's class is not among them."""
        position = {name: index for index, name in enumerate(classes)}
        return np.array([position.get(name, -1) for name in self.classes], np.int64)[self.labels]

    def column(self, name: str) -> np.ndarray:
        """One column of ``/samples``: (N,) or (N, 2); text as a NumPy string array."""
        if name not in self._columns:
            samples = cast(h5py.Group, self._open()["samples"])
            if name not in samples:
                raise DatasetFileError(f"no column {name!r}; there are: {', '.join(samples)}", path=self.path)
            dataset = dataset_at(samples, name)
            is_text = h5py.check_string_dtype(dataset.dtype) is not None
            self._columns[name] = np.asarray(dataset.asstr()[:]).astype(str) if is_text else dataset[:]
        return self._columns[name]

    def column_names(self) -> tuple[str, ...]:
        """The columns this file has."""
        return tuple(cast(h5py.Group, self._open()["samples"]))

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of ids, in the order given; an unknown id is an error."""
        wanted = np.asarray(ids, dtype=str).reshape(-1)
        order = np.argsort(self.ids, kind="stable")
        places = order[np.minimum(np.searchsorted(self.ids, wanted, sorter=order), self.n - 1)]
        unknown = wanted[self.ids[places] != wanted]
        if len(unknown):
            raise DatasetFileError(f"{len(unknown)} ids are not in this dataset, e.g. {unknown[0]}", path=self.path)
        return places.astype(np.int64)

    @property
    def soft_labels(self) -> NDArray[np.float32] | None:
        """(N, K) shares of the annotators; None where the file has none."""
        return None

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is stored, of ``rgb`` and ``depth``."""
        return tuple(name for name in ("rgb", "depth") if name in self._open())

    def read(self, modality: str, rows: ArrayLike) -> NDArray[Any]:
        """``rgb`` (n, H, W, 3) u1 or ``depth`` (n, H, W) u2 of rows in any order."""
        return self._read_rows(modality, rows)

    def read_rgb(self, rows: ArrayLike) -> NDArray[np.uint8]:
        """(len(rows), H, W, 3) sRGB of rows in any order."""
        return self._read_rows("rgb", rows)

    def read_depth(self, rows: ArrayLike) -> NDArray[np.uint16]:
        """(len(rows), H, W) stored depth of rows in any order; 0 is no data."""
        return self._read_rows("depth", rows)

    def _read_rows(self, name: str, rows: ArrayLike) -> np.ndarray:
        dataset = self._pixels(name)
        wanted = np.asarray(rows, np.int64).reshape(-1)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < self.n):
            raise IndexError(f"rows {wanted.min()}…{wanted.max()} of a dataset of {self.n}")
        # one read per run of neighbouring rows: HDF5's own fancy indexing wants sorted rows and is slow; of all ways to
        # read a run, h5py's plain slice costs least
        further = (np.flatnonzero(wanted[1:] != wanted[:-1] + 1) + 1).tolist()
        try:
            if not further:
                first = int(wanted[0]) if len(wanted) else 0
                return dataset[first : first + len(wanted)]
            pixels = np.empty((len(wanted), *dataset.shape[1:]), dataset.dtype)
            for start, stop in zip([0, *further], [*further, len(wanted)], strict=True):
                pixels[start:stop] = dataset[int(wanted[start]) : int(wanted[stop - 1]) + 1]
        except OSError as error:
            raise DatasetFileError(f"cannot read pixels: {error}", path=self.path) from error
        return pixels

    def statistics(self, rows: ArrayLike) -> PixelSums:
        """Pixel sums over the given rows, from the stored per-sample sums: no pixel is read."""
        return total_sums({name: self.statistic(name) for name in STATISTICS}, rows)

    def statistic(self, name: str) -> NDArray[np.uint64]:
        """(N,) or (N, 3) one of the per-sample sums, see ``schema.STATISTICS``."""
        key = f"statistics/{name}"
        if key not in self._columns:
            self._columns[key] = dataset_at(self._open(), key)[:]
        return self._columns[key]


def total_sums(per_sample: Mapping[str, NDArray[Any]], rows: ArrayLike) -> PixelSums:
    """The sums of ``rows`` together; ``per_sample`` has the arrays of ``schema.STATISTICS``."""
    chosen = np.asarray(rows, np.int64).reshape(-1)
    sums = {name: _exact_sum(per_sample[name][chosen]) for name in STATISTICS}
    (pixels,), (valid,) = sums["pixels"], sums["valid_pixels"]
    return PixelSums(
        rgb=Moments(count=pixels, total=sums["rgb_sum"], total_of_squares=sums["rgb_sum_of_squares"]),
        rgb_valid=Moments(count=valid, total=sums["rgb_valid_sum"], total_of_squares=sums["rgb_valid_sum_of_squares"]),
        depth=Moments(count=valid, total=sums["depth_sum"], total_of_squares=sums["depth_sum_of_squares"]),
    )


def _exact_sum(values: NDArray[np.uint64]) -> tuple[int, ...]:
    """Column sums as Python integers: 64 bits overflow at 60,000 samples of far depth, halves of 32 do not."""
    table = values.astype(np.uint64).reshape(len(values), -1)
    high, low = (table >> np.uint64(32)).sum(axis=0), (table & np.uint64(0xFFFFFFFF)).sum(axis=0)
    return tuple((int(h) << 32) + int(lo) for h, lo in zip(high, low, strict=True))
