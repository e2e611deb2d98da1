"""One dataset in several files: shards that are datasets themselves, and an index of virtual datasets over them.

``global.h5`` holds all tables and shows the pixels of ``global-00000-<digits of its digest>.h5``, … as its own. The
virtual datasets are for other programs: HDF5 fills the place of an absent shard with zeros in silence, so this
project opens every shard itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fer_prep.dataset.disk_errors import discard, os_errors, sync
from fer_prep.dataset.schema import MODALITIES, ShardEntry, open_hdf5, read_header
from fer_prep.dataset.writer import Tables, create_file, write_tables
from fer_prep.errors import DatasetFileError


def shard_name(out: Path, *, number: int, digest: str) -> str:
    """``global-00003-1f2e3d4c.h5`` for shard 3 of ``global.h5``."""
    return f"{out.stem}-{number:05d}-{digest[:8]}{out.suffix}"


def is_shard_name(out: Path, name: str) -> bool:
    """Whether a shard of ``out`` can have that name."""
    return re.fullmatch(rf"{re.escape(out.stem)}-\d{{5}}-[0-9a-f]{{8}}{re.escape(out.suffix)}", name) is not None


def listed_shards(out: Path) -> list[str]:
    """The shards of its own that an existing index names; empty where there is no whole index."""
    try:
        with open_hdf5(out) as root:
            listed = read_header(root, out).shards
    except DatasetFileError:
        return []
    return [shard.name for shard in listed if is_shard_name(out, shard.name)]


def write_index(
    path: Path, *, tables: Tables, shards: Sequence[ShardEntry], size: int, settings: Mapping[str, Any]
) -> str:
    """Write the index over shards that lie beside it; return its digest."""
    with os_errors(path):
        root = create_file(path)
        try:
            for modality in tables.modalities:
                _create_virtual(root, modality, shards, size=size)
            digest = write_tables(root, tables, settings=settings, shards=shards)
            root.close()
        except BaseException:
            discard(root, path)
            raise
    sync(path)
    return digest


def _create_virtual(root: h5py.File, name: str, shards: Sequence[ShardEntry], *, size: int) -> None:
    """A virtual dataset over the same dataset of every shard.

    Low-level calls, because h5py's own would store the time of creation, and equal inputs must give equal bytes.
    """
    kind, rest = MODALITIES[name]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.VIRTUAL)
    plan.set_obj_track_times(False)
    space = h5py.h5s.create_simple((sum(shard.n for shard in shards), size, size, *rest))
    start = 0
    for shard in shards:
        part = (shard.n, size, size, *rest)
        space.select_hyperslab((start, *(0 for _ in part[1:])), part)
        # a bare file name: HDF5 looks beside the index, so the files can be moved together
        plan.set_virtual(space, shard.name.encode(), name.encode(), h5py.h5s.create_simple(part))
        start += shard.n
    space.select_all()
    h5py.h5d.create(root.id, name.encode(), h5py.h5t.py_create(np.dtype(kind)), space, plan)
