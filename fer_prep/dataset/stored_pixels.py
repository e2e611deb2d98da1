"""The pixels of a dataset's files: memory maps of uncompressed ones, h5py for compressed ones.

Every file is opened before the first pixel is read. HDF5's own virtual datasets are never read: where a shard is
absent they show zeros in silence.
"""

from __future__ import annotations

import errno
import math
import resource
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
        self._files: list[h5py.File] = []
        self._parts: dict[str, list[Any]] = {name: [] for name in header.modalities}
        try:
            for number, name in enumerate(names):
                if header.shards and not path.with_name(name).is_file():
                    hint = f"keep the shards beside the index {path.name}"
                    raise DatasetFileError("no such file", path=path.with_name(name), hint=hint)
                root = open_hdf5(path.with_name(name) if header.shards else path)
                self._files.append(root)
                if header.shards:
                    _check_shard(root, header, number, index=path)
                self._add(root, header)
        except OSError as error:
            self.close()
            raise _too_many_files(len(names), path, n=header.n, error=error) from error
        except BaseException:
            self.close()
            raise
        self._starts = np.cumsum([0, *(len(part) for part in self._parts[header.modalities[0]])])

    def _add(self, root: h5py.File, header: Header) -> None:
        """The pixels of one file; its handle is kept only where pixels are compressed."""
        path, mapped, packed = Path(root.filename), None, False
        for modality in header.modalities:
            dataset = dataset_at(root, modality)
            if dataset.is_virtual or dataset.external:
                raise DatasetFileError(path=path, expected=f"/{modality} in this file", found="a link to other files")
            offset = dataset.id.get_offset()
            if offset is None or dataset.chunks is not None:
                self._parts[modality].append(dataset)
                packed = True
                continue
            mapped = np.memmap(path, np.uint8, "r") if mapped is None else mapped
            kind, _ = MODALITIES[modality]
            stored = mapped[offset : offset + math.prod(dataset.shape) * np.dtype(kind).itemsize]
            with reading(path):  # a file cut short has other numbers of bytes
                self._parts[modality].append(np.asarray(stored).view(kind).reshape(dataset.shape))
        if not packed:
            self._files.pop().close()

    def read(self, modality: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """(len(rows), …) pixels of ``rows``, which must all exist; a new array."""
        parts = self._parts[modality]
        pixels = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
        # the disk is read in one direction
        for place in np.argsort(rows, kind="stable").tolist() if len(rows) > 1 else range(len(rows)):
            row = int(rows[place])
            number = int(np.searchsorted(self._starts, row, side="right")) - 1 if len(parts) > 1 else 0
            pixels[place] = parts[number][row - self._starts[number]]
        return pixels

    def close(self) -> None:
        """Release the files."""
        self._parts = {}
        while self._files:
            self._files.pop().close()


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
