"""One dataset in several files: shards that are datasets themselves, and an index of virtual datasets over them.

``global.h5`` holds all tables and statistics and shows ``/rgb`` and ``/depth`` of ``global-00000.h5``, … as its own.
HDF5 fills the place of an absent shard with zeros in silence; that is why the index remembers each shard's digest
and readers verify it when they open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from fer_prep.dataset.schema import STATISTICS, attribute_text, dataset_at
from fer_prep.dataset.writer import write_attributes, write_tables
from fer_prep.dataset.writer_disk import new_file, sync


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One written shard: its final file name, where it lies now, how many samples it has."""

    name: str
    staged: Path
    n: int
    digest: str


def shard_name(out: Path, number: int) -> str:
    """``global-00003.h5`` for shard 3 of ``global.h5``."""
    return f"{out.stem}-{number:05d}{out.suffix}"


def write_index(
    path: Path,
    *,
    shards: Sequence[Shard],
    size: int,
    rows: Sequence[dict[str, Any]],
    classes: Sequence[str],
    settings: dict[str, Any],
) -> str:
    """Write the index over staged shards; return the digest of the whole data."""
    n = sum(shard.n for shard in shards)
    statistics = {name: np.zeros((n, *shape), np.uint64) for name, shape in STATISTICS.items()}
    start = 0
    for shard in shards:
        with h5py.File(shard.staged, "r") as root:
            for name, table in statistics.items():
                table[start : start + shard.n] = dataset_at(root, f"statistics/{name}")[:]
        start += shard.n
    with new_file(path) as root:
        _create_virtual(root, "rgb", (n, size, size, 3), np.dtype(np.uint8), shards)
        _create_virtual(root, "depth", (n, size, size), np.dtype("<u2"), shards)
        tables = write_tables(root, rows, statistics)
        root.attrs["shards"] = json.dumps([[shard.name, shard.n, shard.digest] for shard in shards])
        digest = write_attributes(root, rows, classes=classes, settings=settings)
        root.flush()
        del tables
    sync(path)
    return digest


def _create_virtual(
    root: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype, shards: Sequence[Shard]
) -> None:
    """A virtual dataset over the same dataset of every shard.

    Low-level calls, because h5py's own would store the time of creation, and equal inputs must give equal bytes.
    """
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.VIRTUAL)
    plan.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    start = 0
    for shard in shards:
        part = (shard.n, *shape[1:])
        space.select_hyperslab((start, *(0 for _ in shape[1:])), part)
        # a bare file name: HDF5 looks beside the index, so the files can be moved together
        plan.set_virtual(space, shard.name.encode(), name.encode(), h5py.h5s.create_simple(part))
        start += shard.n
    space.select_all()
    h5py.h5d.create(root.id, name.encode(), h5py.h5t.py_create(dtype), space, plan)


def listed_shards(path: Path) -> list[str]:
    """File names of the shards that an existing index names; empty where there is none."""
    if not path.is_file() or not h5py.is_hdf5(path):
        return []
    with h5py.File(path, "r") as root:
        listed = json.loads(attribute_text(root.attrs.get("shards", "[]")))
    return [cast(str, name) for name, *_ in listed]
