"""The shape of a ``fer-rgbd`` file, and what to say about a file that has another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, cast

import h5py
import numpy as np

from fer_prep.dataset.compression import require_filters
from fer_prep.errors import BusyError, DatasetFileError, FerError

FORMAT: Final = "fer-rgbd"
FORMAT_VERSION: Final = 1

"""What an error about a file says that may be in order once another program is done with it."""

REQUIRED_COLUMNS: Final = (
    "id",
    "subject",
    "dataset",
    "source_file",
    "label",
    "label_source",
    "action_unit",
    "gender",
    "ethnicity",
    "intensity",
    "roll_degrees",
    "left_eye",
    "right_eye",
    "depth_offset_mm",
    "mm_per_pixel",
    "origin_mm",
    "digest",
)
"""The columns that every file has; readers ignore further ones."""

STATISTICS: Final[dict[str, tuple[int, ...]]] = {
    # name → shape after N; all unsigned 64-bit integers, so that sums over folds are exact in any order
    "pixels": (),  # H·W
    "valid_pixels": (),  # pixels with depth > 0
    "rgb_sum": (3,),  # over all pixels
    "rgb_sum_of_squares": (3,),
    "rgb_valid_sum": (3,),  # over pixels with depth > 0
    "rgb_valid_sum_of_squares": (3,),
    "depth_sum": (),  # of the stored values, over pixels with depth > 0
    "depth_sum_of_squares": (),
}


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
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise _explain(error, path) from error


def _explain(error: OSError, path: Path) -> FerError:
    reason = str(error).lower()
    if "truncated" in reason:
        return DatasetFileError(
            "the file is truncated (an interrupted copy?)", path=path, hint="copy it again, or run fer-prep merge again"
        )
    if "lock" in reason or "already open" in reason:
        return BusyError(
            "the file is still open for writing in another program", path=path, hint="wait for it, or close it"
        )
    return DatasetFileError(f"HDF5 cannot open it: {error}", path=path, hint="run fer-prep merge again")


def check_schema(root: h5py.File, path: Path) -> None:
    """Raise DatasetFileError at the first thing that makes a file not a whole fer-rgbd dataset, version 1."""
    if attribute_text(root.attrs.get("format", "")) != FORMAT:
        found = f"an HDF5 file with {', '.join(list(root)[:4]) or 'nothing'} and no fer-rgbd mark"
        raise DatasetFileError(path=path, expected="a fer-rgbd dataset", found=found)
    version = int(np.asarray(root.attrs.get("format_version", 0)).item())
    if version != FORMAT_VERSION:
        hint = "update fer-rgbd" if version > FORMAT_VERSION else "merge again with this version"
        raise DatasetFileError(
            path=path, expected=f"format version {FORMAT_VERSION}", found=f"version {version}", hint=hint
        )
    missing = [
        name for name in ("classes", "depth_unit_mm", "created_by", "settings", "digest") if name not in root.attrs
    ]
    paths = ["rgb", "depth", *(f"samples/{c}" for c in REQUIRED_COLUMNS), *(f"statistics/{s}" for s in STATISTICS)]
    missing += [f"/{name}" for name in paths if name not in root]
    if missing:
        raise DatasetFileError(path=path, expected=f"{', '.join(missing)}", found="nothing of that name")
    for name, expected, found in _wrong_shapes(root):
        raise DatasetFileError(path=path, expected=f"/{name} {expected}", found=found)
    for name in ("rgb", "depth"):
        require_filters(dataset_at(root, name), path)
    if "shards" in root.attrs:
        _check_shards(json.loads(attribute_text(root.attrs["shards"])), path)


def _check_shards(shards: list[tuple[str, int, str]], path: Path) -> None:
    """Every shard of an index lies beside it, whole and the one it was made with: HDF5 shows zeros for absent ones."""
    for name, _, digest in shards:
        shard = path.parent / name
        if not shard.is_file():
            raise DatasetFileError(
                f"its shard {name} is missing", path=path, hint="keep the shards beside the index file"
            )
        with open_hdf5(shard) as root:
            check_schema(root, shard)
            if attribute_text(root.attrs["digest"]) != digest:
                raise DatasetFileError(
                    "this shard belongs to another dataset than the index beside it", path=shard, hint="merge again"
                )


def _wrong_shapes(root: h5py.File) -> list[tuple[str, str, str]]:
    """Every dataset whose shape or type is not the contract's: name, expected, found."""
    rgb = dataset_at(root, "rgb")
    if rgb.ndim != 4 or rgb.shape[3] != 3 or rgb.dtype != np.uint8:
        return [("rgb", "(N, H, W, 3) uint8", f"{rgb.shape} {rgb.dtype}")]
    n = rgb.shape[0]
    wanted: dict[str, tuple[tuple[int, ...], str | None]] = {"depth": (rgb.shape[:3], "uint16")}
    wanted |= {f"samples/{name}": ((n,), None) for name in REQUIRED_COLUMNS}
    wanted |= {f"samples/{name}": ((n, 2), "float32") for name in ("left_eye", "right_eye", "origin_mm")}
    wanted |= {f"samples/{name}": ((n,), "uint8") for name in ("label", "intensity")}
    wanted |= {f"statistics/{name}": ((n, *shape), "uint64") for name, shape in STATISTICS.items()}
    wrong: list[tuple[str, str, str]] = []
    for name, (shape, dtype) in wanted.items():
        dataset = dataset_at(root, name)
        if dataset.shape != shape or (dtype is not None and dataset.dtype != np.dtype(dtype)):
            wrong.append((name, f"{shape} {dtype or ''}".strip(), f"{dataset.shape} {dataset.dtype}"))
    return wrong
