"""The two pixel datasets of a file being written, uncompressed or compressed.

Uncompressed, the place of every sample in the file is known beforehand: threads put their samples there by themselves,
in any order, and HDF5 is asked for nothing but the places. Compressed, places follow from sizes, so samples come in
row order through HDF5.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray


class PixelWriter(Protocol):
    """Where the pixels of one file go."""

    any_order: bool
    """True where ``put`` may be called for any row at any time by any thread; else in row order."""

    def put(self, index: int, rgb: NDArray[np.uint8], depth: NDArray[np.uint16]) -> None:
        """Store the pixels of one row: ``rgb`` (H, W, 3), ``depth`` (H, W), both contiguous."""
        ...

    def flush(self) -> None:
        """Send what was stored so far to the disk; may be called beside ``put``."""
        ...

    def close(self) -> None:
        """Nothing more will be stored."""
        ...


class PlacedPixels:
    """Uncompressed ``/rgb`` and ``/depth``, written past HDF5 to the places it reserved."""

    any_order = True

    def __init__(self, root: h5py.File, path: Path, *, n: int, size: int) -> None:
        self._path = path
        self._rgb_places = _reserve(root, "rgb", (n, size, size, 3), np.dtype(np.uint8))
        self._depth_places = _reserve(root, "depth", (n, size, size), np.dtype("<u2"))
        self._descriptor = os.open(path, os.O_WRONLY)

    def put(self, index: int, rgb: NDArray[np.uint8], depth: NDArray[np.uint16]) -> None:
        """Store one row; raises OSError naming the file where the disk is full."""
        try:
            _write_all(self._descriptor, rgb, int(self._rgb_places[index]))
            _write_all(self._descriptor, depth, int(self._depth_places[index]))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def flush(self) -> None:
        """Start on the disk's work early; what is left for the end is short."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PackedPixels:
    """Compressed ``/rgb`` and ``/depth``; ``compression`` holds keywords of ``h5py.create_dataset``."""

    any_order = False

    def __init__(self, root: h5py.File, *, n: int, size: int, compression: Mapping[str, Any]) -> None:
        options: dict[str, Any] = {"track_times": False, **compression}
        shape = (n, size, size)
        self._rgb = root.create_dataset("rgb", (*shape, 3), "u1", chunks=(1, size, size, 3), **options)
        self._depth = root.create_dataset("depth", shape, "<u2", chunks=(1, size, size), **options)

    def put(self, index: int, rgb: NDArray[np.uint8], depth: NDArray[np.uint16]) -> None:
        """Compress and store the next row; HDF5's errors are as h5py has them."""
        self._rgb[index] = rgb
        self._depth[index] = depth

    def flush(self) -> None:
        """HDF5 buffers by itself."""

    def close(self) -> None:
        """The datasets are closed with their file."""


def _reserve(root: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype) -> NDArray[np.int64]:
    """Make a dataset of one sample a chunk, all chunks placed but not filled; (N,) where in the file each begins."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1, *shape[1:]))
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    dataset = h5py.h5d.create(root.id, name.encode(), h5py.h5t.py_create(dtype), space, plan)
    places = np.zeros(shape[0], np.int64)

    def note(chunk: Any) -> None:
        places[chunk.chunk_offset[0]] = chunk.byte_offset

    dataset.chunk_iter(note)
    return places


def _write_all(descriptor: int, pixels: NDArray[Any], place: int) -> None:
    """pwrite(2) until every byte is there: a nearly full disk takes a part first and refuses the rest."""
    rest = pixels.reshape(-1).view(np.uint8).data
    while rest:
        written = os.pwrite(descriptor, rest, place)
        rest, place = rest[written:], place + written
