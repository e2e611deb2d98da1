"""The shape of a ``fer-rgbd`` file, format version 2, and what to say about a file that has another one.

::

    /rgb        (N, H, W, 3) u1    absent in a depth-only file     /samples/<column>     (N[, 2])  see ``samples_table``
    /depth      (N, H, W)    u2    absent in an RGB-only file      /statistics/<name>    (N[, 3])  see ``STATISTICS``
    /labels/soft (N, K) f4         optional                        /landmarks/<scheme>   see ``LandmarkSet``
    root attributes: format, format_version, classes, modalities, depth_unit_mm, created_by, settings (JSON), digest
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import h5py
import numpy as np

from fer_prep.dataset.compression import require_filters
from fer_prep.errors import BusyError, DatasetFileError, FerError
from fer_prep.samples_table import COLUMNS

FORMAT: Final = "fer-rgbd"
FORMAT_VERSION: Final = 2

MODALITIES: Final[dict[str, tuple[str, tuple[int, ...]]]] = {"rgb": ("u1", (3,)), "depth": ("<u2", ())}
"""What a file can store: modality → type, and shape after (N, H, W)."""

STATISTICS: Final[dict[str, tuple[tuple[int, ...], tuple[str, ...]]]] = {
    # name → shape after N, modalities it is made of; unsigned 64-bit, so that sums over folds are exact in any order
    "pixels": ((), ()),  # H·W
    "valid_pixels": ((), ("depth",)),  # pixels with depth > 0
    "rgb_sum": ((3,), ("rgb",)),  # over all pixels
    "rgb_sum_of_squares": ((3,), ("rgb",)),
    "rgb_valid_sum": ((3,), ("rgb", "depth")),  # over pixels with depth > 0
    "rgb_valid_sum_of_squares": ((3,), ("rgb", "depth")),
    "depth_sum": ((), ("depth",)),  # of the stored values, over pixels with depth > 0
    "depth_sum_of_squares": ((), ("depth",)),
}

BEYOND_THE_CONTRACT: Final = COLUMNS[[column.name for column in COLUMNS].index("digest") + 1 :]
"""Columns that this project writes and a file may lack; readers ignore further ones."""

AGAIN: Final = "copy it again, or run fer-prep merge again with --force"
"""What to do about a file that is not whole: without consent, merge replaces whole datasets only."""

_SHARD: Final = re.compile(r"[^/\\\0]+-\d{5}-([0-9a-f]{8})(\.\w+)?")


def statistics_shapes(modalities: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The statistics of a file that stores ``modalities``: name → shape after N."""
    return {name: shape for name, (shape, needs) in STATISTICS.items() if set(needs) <= set(modalities)}


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One shard as its index names it."""

    name: str
    """A plain file name beside the index, with the first 8 digits of the digest in it."""
    n: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a whole, well-formed file says of itself."""

    n: int
    height: int
    width: int
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    depth_unit_mm: float
    created_by: str
    settings: dict[str, Any]
    digest: str
    tables: tuple[str, ...]
    """The place of every table in the file: ``samples/id``, ``landmarks/<scheme>/points_px`` …"""
    landmark_schemes: tuple[str, ...]
    shards: tuple[ShardEntry, ...]


def attribute_text(value: object) -> str:
    """The text of a string attribute, whichever way its writer stored it."""
    return value.decode() if isinstance(value, bytes) else str(value)


def dataset_at(group: h5py.Group, name: str) -> h5py.Dataset:
    """The HDF5 dataset of that name."""
    return cast(h5py.Dataset, group[name])


def open_hdf5(path: Path) -> h5py.File:
    """Open any HDF5 file for reading; what HDF5 says about a bad one is put into a sentence for a person."""
    if path.is_dir():
        raise DatasetFileError(
            path=path,
            expected="an HDF5 dataset",
            found="a folder",
            hint="fer-prep merge makes a dataset of prepared folders",
        )
    if not path.is_file():
        raise DatasetFileError("no such file", path=path, hint="fer-prep merge --out global.h5 writes one")
    try:
        if not h5py.is_hdf5(path):
            with path.open("rb") as stream:
                head = stream.read(8)
            raise DatasetFileError(path=path, expected="an HDF5 file", found=f"first bytes {head!r}")
        try:
            return h5py.File(path, "r", locking="best-effort")
        except OSError as error:
            if _system_errno(error) not in (errno.ENOLCK, errno.EOPNOTSUPP):
                raise
            return h5py.File(path, "r", locking=False)  # this file system has no locks: there are none to respect
    except OSError as error:
        raise _explain(error, path) from error


def _system_errno(error: OSError) -> int:
    """The number of the system's error that HDF5 tells in its text; 0 where it tells none."""
    told = re.search(r"errno = (\d+)", str(error))
    return int(told[1]) if told else error.errno or 0


def _explain(error: OSError, path: Path) -> FerError:
    reason = str(error).lower()
    if "truncated" in reason:
        return DatasetFileError("the file is truncated (an interrupted copy?)", path=path, hint=AGAIN)
    if (_system_errno(error) in (errno.EAGAIN, errno.EACCES) and "lock" in reason) or "already open" in reason:
        return BusyError(
            "the file is still open for writing in another program", path=path, hint="wait for it, or close it"
        )
    return DatasetFileError(f"HDF5 cannot open it: {error}", path=path, hint=AGAIN)


@contextmanager
def reading(path: Path) -> Generator[None]:
    """Whatever h5py or NumPy stumble over inside the block becomes an error that names the file."""
    try:
        yield
    except FerError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise DatasetFileError(f"the file is damaged: {error}", path=path, hint=AGAIN) from error


def read_header(root: h5py.File, path: Path) -> Header:
    """The header; raises DatasetFileError at the first thing that makes a file not a whole fer-rgbd dataset."""
    with reading(path):
        _check_version(root, path)
        _check_names(root, path, ("classes", "modalities", "depth_unit_mm", "created_by", "settings", "digest"))
        classes, modalities = _names(root, "classes", path), _names(root, "modalities", path)
        stored = tuple(name for name in MODALITIES if name in root)
        if not stored or modalities != stored:
            found = f"{', '.join(modalities)}; the file has {', '.join(stored) or 'no pixels'}"
            raise DatasetFileError(path=path, expected="modalities of rgb, depth that are stored", found=found)
        shape = dataset_at(root, stored[0]).shape
        unit = float(np.asarray(root.attrs["depth_unit_mm"]).item())
        if not 0 < unit < np.inf:
            raise DatasetFileError(path=path, expected="depth_unit_mm above 0", found=str(unit))
        header = Header(
            n=int(shape[0]),
            height=int(shape[1]) if len(shape) > 2 else 0,
            width=int(shape[2]) if len(shape) > 2 else 0,
            classes=classes,
            modalities=modalities,
            depth_unit_mm=unit,
            created_by=attribute_text(root.attrs["created_by"]),
            settings=_json(root, "settings", dict, path),
            digest=attribute_text(root.attrs["digest"]),
            tables=_tables(root),
            landmark_schemes=_plain_names(cast(h5py.Group, root.get("landmarks", {})), "landmarks", path),
            shards=_shards(root, path),
        )
        _check_tables(root, header, path)
        for name in modalities:
            require_filters(dataset_at(root, name), path)
    if header.shards and sum(shard.n for shard in header.shards) != header.n:
        raise DatasetFileError("its shards have not as many samples as it says", path=path, hint="merge again")
    return header


def _check_version(root: h5py.File, path: Path) -> None:
    if attribute_text(root.attrs.get("format", "")) != FORMAT:
        found = f"an HDF5 file with {', '.join(list(root)[:4]) or 'nothing'} and no fer-rgbd mark"
        raise DatasetFileError(path=path, expected="a fer-rgbd dataset", found=found)
    version = int(np.asarray(root.attrs.get("format_version", 0)).item())
    if version != FORMAT_VERSION:
        again = "prepare and merge again with this version: fer-prep merge --out"
        raise DatasetFileError(
            path=path,
            expected=f"format version {FORMAT_VERSION}",
            found=f"version {version}",
            hint="update fer-rgbd" if version > FORMAT_VERSION else f"{again} {path.name}",
        )


def _check_names(root: h5py.File, path: Path, attributes: tuple[str, ...]) -> None:
    """Everything that a file needs is there."""
    beyond = {column.name for column in BEYOND_THE_CONTRACT}
    paths = [f"samples/{column.name}" for column in COLUMNS if column.name not in beyond]
    paths += [f"statistics/{name}" for name in statistics_shapes(tuple(root))]
    missing = [name for name in attributes if name not in root.attrs]
    missing += [f"/{name}" for name in paths if name not in root]
    if missing:
        raise DatasetFileError(path=path, expected=", ".join(missing), found="nothing of that name")


def _tables(root: h5py.File) -> tuple[str, ...]:
    found: list[str] = []

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name not in MODALITIES:
            found.append(name)

    root.visititems(add)
    return tuple(found)


def _check_tables(root: h5py.File, header: Header, path: Path) -> None:
    """Every dataset has the shape and type of the contract."""
    n, size = header.n, (header.height, header.width)
    wanted: dict[str, tuple[tuple[int, ...], str]] = {
        name: ((n, *size, *rest), kind) for name, (kind, rest) in MODALITIES.items() if name in header.modalities
    }
    for column in COLUMNS:
        if f"samples/{column.name}" in root:
            wanted[f"samples/{column.name}"] = ((n, column.width) if column.width > 1 else (n,), column.kind)
    for name, shape in statistics_shapes(header.modalities).items():
        wanted[f"statistics/{name}"] = ((n, *shape), "u8")
    if "labels/soft" in root:
        wanted["labels/soft"] = ((n, len(header.classes)), "f4")
    for scheme in header.landmark_schemes:
        points = len(_names(cast(h5py.Group, root["landmarks"])[scheme], "names", path))
        for name, rest, kind in (("points_px", (2,), "f4"), ("points_mm", (3,), "f4"), ("vertex", (), "i4")):
            if name == "points_px" or f"landmarks/{scheme}/{name}" in root:
                wanted[f"landmarks/{scheme}/{name}"] = ((n, points, *rest), kind)
    if n < 1 or 0 in size:
        raise DatasetFileError(path=path, expected="samples with pixels", found=f"{n} samples of {size}")
    for name, (shape, kind) in wanted.items():
        dataset = dataset_at(root, name)
        is_text = h5py.check_string_dtype(dataset.dtype) is not None
        fits = is_text if kind == "str" else dataset.dtype == np.dtype(kind)
        if dataset.shape != shape or not fits:
            kind = "text" if kind == "str" else np.dtype(kind).name
            raise DatasetFileError(
                path=path, expected=f"/{name} {shape} {kind}", found=f"{dataset.shape} {dataset.dtype}"
            )


def _names(item: Any, attribute: str, path: Path) -> tuple[str, ...]:
    """An attribute of different names."""
    return _plain_names(
        [attribute_text(name) for name in np.atleast_1d(np.asarray(item.attrs[attribute]))], attribute, path
    )


def _plain_names(names: Iterable[str], attribute: str, path: Path) -> tuple[str, ...]:
    """Different names, which may become parts of file names: no slashes, no leading dots."""
    names = tuple(names)
    wrong = [name for name in names if not re.fullmatch(r"\w[\w .+-]*", name)]
    if wrong or len(set(names)) != len(names):
        found = repr(wrong[0] if wrong else names)[:80]
        raise DatasetFileError(path=path, expected=f"different plain names in {attribute}", found=found)
    return names


def _json(root: h5py.File, attribute: str, kind: type, path: Path) -> Any:
    text = attribute_text(root.attrs[attribute])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise DatasetFileError(path=path, expected=f"attribute {attribute}: a JSON {kind.__name__}", found=text[:60])
    return value


def _shards(root: h5py.File, path: Path) -> tuple[ShardEntry, ...]:
    """The shards of an index; empty for a file that holds its own pixels."""
    entries: list[ShardEntry] = []
    for listed in _json(root, "shards", list, path) if "shards" in root.attrs else []:
        match listed:
            case [str(name), int(n), str(digest)] if (
                n > 0 and (found := _SHARD.fullmatch(name)) and digest.startswith(found[1])
            ):
                entries.append(ShardEntry(name=name, n=n, digest=digest))
            case _:
                expected = "shards as [name-00000-<8 digits of its digest>.h5, samples, digest]"
                raise DatasetFileError(path=path, expected=expected, found=repr(listed)[:80])
    return tuple(entries)
