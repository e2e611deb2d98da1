"""The pixels of a dataset's files: memory maps of uncompressed ones, h5py for compressed ones.

Every file is opened before the first pixel is read. HDF5's own virtual datasets are never read: where a shard is
absent they show zeros in silence.
"""

from __future__ import annotations

import errno
import math
import mmap
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.schema import MODALITIES, Header, attribute_text, dataset_at, open_hdf5, reading
from fer_prep.errors import DatasetFileError

SPARE_FILES: Final = 64
"""Descriptors that a process needs for everything else."""


class StoredPixels:
    """Reads rows of a dataset in one file or in shards; maps may be read by several threads at once."""

    def __init__(self, path: Path, header: Header) -> None:
        names = [shard.name for shard in header.shards] or [path.name]
        _allow_open_files(len(names), path, n=header.n)
        self._files: list[_PixelFile] = []
        try:
            for number in range(len(names)):
                self._files.append(_open_file(path, header, shard=number if header.shards else None))
        except OSError as error:
            self.close()
            raise _too_many_files(len(names), path, n=header.n, error=error) from error
        except BaseException:
            self.close()
            raise
        self._starts = np.cumsum([0, *(file.n for file in self._files)])

    def read(self, modality: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """(len(rows), …) pixels of ``rows``, which must all exist; a new array."""
        like = self._files[0].pixels[modality]
        pixels = np.empty((len(rows), *like.shape[1:]), like.dtype)
        # the disk is read in one direction
        for place in np.argsort(rows, kind="stable").tolist() if len(rows) > 1 else range(len(rows)):
            row = int(rows[place])
            number = int(np.searchsorted(self._starts, row, side="right")) - 1 if len(self._files) > 1 else 0
            file = self._files[number]
            file.refuse_if_cut_short()
            pixels[place] = file.pixels[modality][row - self._starts[number]]
        return pixels

    def close(self) -> None:
        """Release the files."""
        for file in self._files:
            file.handle.close()
        self._files = []


@dataclass(frozen=True, kw_only=True)
class _PixelFile:
    """One open file of a dataset."""

    path: Path
    handle: h5py.File
    """Closed where all pixels are mapped."""
    mapped: mmap.mmap | None
    pixels: Mapping[str, Any]
    """By modality: an array within the map, or the HDF5 dataset where it is compressed."""

    @property
    def n(self) -> int:
        """How many samples it has."""
        return len(next(iter(self.pixels.values())))

    def refuse_if_cut_short(self) -> None:
        """Raise DatasetFileError where the file has been shortened: reading the map would end the process."""
        if self.mapped is not None and self.mapped.size() < len(self.mapped):
            raise DatasetFileError("the file was cut short while it was in use", path=self.path)


def _open_file(index: Path, header: Header, *, shard: int | None) -> _PixelFile:
    path = index if shard is None else index.with_name(header.shards[shard].name)
    if shard is not None and not path.is_file():
        raise DatasetFileError("no such file", path=path, hint=f"keep the shards beside the index {index.name}")
    handle, mapped = open_hdf5(path), None
    if shard is not None:
        _check_shard(handle, header, shard, index=index)
    pixels: dict[str, Any] = {}
    for modality in header.modalities:
        dataset = dataset_at(handle, modality)
        if dataset.is_virtual or dataset.external:
            raise DatasetFileError(path=path, expected=f"/{modality} in this file", found="a link to other files")
        if (offset := dataset.id.get_offset()) is None:
            pixels[modality] = dataset
            continue
        if mapped is None:
            with path.open("rb") as stream:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        with reading(path):  # a file that is too short has no such array
            flat = np.frombuffer(mapped, dataset.dtype, math.prod(dataset.shape), offset)
        pixels[modality] = flat.reshape(dataset.shape)
    if not any(isinstance(part, h5py.Dataset) for part in pixels.values()):
        handle.close()
    return _PixelFile(path=path, handle=handle, mapped=mapped, pixels=pixels)


def _check_shard(root: h5py.File, header: Header, number: int, *, index: Path) -> None:
    """A shard is the one that its index was made with."""
    entry, path = header.shards[number], index.with_name(header.shards[number].name)
    with reading(path):
        shapes = {name: (dataset_at(root, name).shape, dataset_at(root, name).dtype) for name in header.modalities}
        wanted = {
            name: ((entry.n, header.height, header.width, *MODALITIES[name][1]), np.dtype(MODALITIES[name][0]))
            for name in header.modalities
        }
        if attribute_text(root.attrs["digest"]) != entry.digest or shapes != wanted:
            raise DatasetFileError(
                f"this shard belongs to another dataset than {index.name} beside it", path=path, hint="merge again"
            )


def _allow_open_files(files: int, path: Path, *, n: int) -> None:
    """Raise this process's limit of open files to what a map for each file needs; refuse where that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or files + SPARE_FILES <= soft:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and files + SPARE_FILES > hard:
        raise _too_many_files(files, path, n=n)


def _too_many_files(files: int, path: Path, *, n: int, error: OSError | None = None) -> Exception:
    if error is not None and error.errno not in (errno.EMFILE, errno.ENFILE):
        return DatasetFileError(f"cannot read pixels: {error.strerror or error}", path=path)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    larger = math.ceil(2 * n / max(1, limit - SPARE_FILES))
    return DatasetFileError(
        f"its {files} shards must all be open at once; this process may open {limit} files",
        path=path,
        hint=f"raise the limit (ulimit -n), or merge again with --shard-size {max(larger, 2 * n // files)}",
    )
