"""Pixels of an uncompressed dataset, read past HDF5: every sample is one chunk, and where it lies is asked for once.

A read is one ``preadv(2)`` into the place where the pixels are wanted. It costs a quarter of what h5py costs for small
pictures, and other threads go on meanwhile: Python's lock is released, and HDF5's is not needed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast, final

import h5py
import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.schema import dataset_at, open_hdf5
from fer_prep.errors import DatasetFileError

_KINDS = {"rgb": np.dtype(np.uint8), "depth": np.dtype("<u2")}


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where in one file the samples lie, from its first row on: (n,) bytes from the beginning of the file."""

    path: Path
    rgb: NDArray[np.int64]
    depth: NDArray[np.int64]


@final
class DirectPixels:
    """Reads rows of a dataset in one file or in shards; safe to use from several threads."""

    def __init__(self, files: Sequence[_Places]) -> None:
        self._files = tuple(files)
        self._starts = np.cumsum([0, *(len(file.rgb) for file in files)])
        self._descriptors: dict[int, int] = {}
        self._opening = threading.Lock()

    @classmethod
    def of(cls, data: DatasetFile) -> Self | None:
        """None where pixels are compressed, or lie in any other way than this project writes them."""
        paths = [data.path.with_name(name) for name in data.shard_names] or [data.path]
        files = []
        for path in paths:
            places = _places_in(path, size=(data.height, data.width))
            if places is None:
                return None
            files.append(places)
        return cls(files) if sum(len(file.rgb) for file in files) == data.n else None

    def read_into(self, rows: NDArray[np.int64], *, rgb: NDArray[np.uint8], depth: NDArray[Any]) -> None:
        """``rows`` (B,) in any order into ``rgb`` (B, H, W, 3) u8 and ``depth`` (B, H, W) of two bytes a pixel."""
        if len(rows) and not (rows.min() >= 0 and rows.max() < self._starts[-1]):
            raise IndexError(f"rows {rows.min()}…{rows.max()} of a dataset of {self._starts[-1]}")
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        for place in np.argsort(rows, kind="stable").tolist():  # the disk is read in one direction
            number = int(numbers[place])
            file, row = self._files[number], int(rows[place] - self._starts[number])
            descriptor = self._descriptors.get(number) or self._open(number)
            _read_all(descriptor, rgb[place], int(file.rgb[row]), path=file.path)
            _read_all(descriptor, depth[place], int(file.depth[row]), path=file.path)

    def close(self) -> None:
        """Release the files; reading again opens them again."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _open(self, number: int) -> int:
        with self._opening:
            if number not in self._descriptors:
                path = self._files[number].path
                try:
                    self._descriptors[number] = os.open(path, os.O_RDONLY)
                except OSError as error:
                    raise DatasetFileError(f"cannot read pixels: {error.strerror}", path=path) from error
            return self._descriptors[number]


def _places_in(path: Path, *, size: tuple[int, int]) -> _Places | None:
    with open_hdf5(path) as root:
        found = {name: _places_of(dataset_at(root, name), kind, size) for name, kind in _KINDS.items()}
    rgb, depth = found["rgb"], found["depth"]
    return None if rgb is None or depth is None else _Places(path=path, rgb=rgb, depth=depth)


def _places_of(dataset: h5py.Dataset, kind: np.dtype, size: tuple[int, int]) -> NDArray[np.int64] | None:
    """(n,) byte offsets; None where it is not one uncompressed, allocated chunk a row."""
    sample = dataset.shape[1:]
    plan = dataset.id.get_create_plist()
    ordinary = dataset.chunks == (1, *sample) and sample[:2] == size and dataset.dtype == kind
    if not ordinary or plan.get_nfilters():
        return None
    places = np.full(len(dataset), -1, np.int64)

    def note(chunk: Any) -> None:
        places[chunk.chunk_offset[0]] = chunk.byte_offset

    cast(Any, dataset.id).chunk_iter(note)
    return places if (places > 0).all() else None


def _read_all(descriptor: int, pixels: NDArray[Any], place: int, *, path: Path) -> None:
    """preadv(2) until every byte is there."""
    rest = pixels.reshape(-1).view(np.uint8).data
    while rest:
        try:
            count = os.preadv(descriptor, [rest], place)
        except OSError as error:
            raise DatasetFileError(f"cannot read pixels: {error.strerror}", path=path) from error
        if not count:
            raise DatasetFileError(
                path=path, expected=f"{len(rest)} more bytes at {place}", found="the end of the file"
            )
        rest, place = rest[count:], place + count
