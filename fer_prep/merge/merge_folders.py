"""Prepared folders → one HDF5 dataset: streamed, sorted by id, whole or not at all (``write_files`` writes it)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fer_prep.dataset.compression import compression_options
from fer_prep.dataset.schema import FORMAT, attribute_text, open_hdf5
from fer_prep.errors import DatasetFileError, UsageError
from fer_prep.folder_lock import file_lock
from fer_prep.folds.selection import Selection
from fer_prep.merge.plan import plan_merge
from fer_prep.merge.write_files import FileOptions, write_files
from fer_prep.outputs import HDF5, check_output, consent
from fer_prep.progress import Progress, silent


@dataclass(kw_only=True)
class MergeSummary:
    """What was written."""

    path: Path
    n: int
    size: int
    digest: str
    bytes_written: int
    left_out: int
    warnings: list[str] = field(default_factory=list[str])
    shards: int = 0


def merge(
    prepared: Iterable[Path],
    *,
    out: Path,
    size: int = 260,
    selection: Selection | None = None,
    modalities: tuple[str, ...] = (),
    shard_size: int = 0,
    compression: str = "none",
    workers: int | None = None,
    progress: Progress = silent,
) -> MergeSummary:
    """Write the dataset ``out``; nothing appears under that name before all of it is written and synced.

    ``size`` is the raster of the output; ``modalities`` what to store, empty for what the folders have;
    ``shard_size`` 0 writes one file, else so many samples a shard.
    ``workers`` threads decode (default: one for each core). Raises the error of the first input that is not in order.
    """
    if shard_size < 0:
        raise UsageError(f"--shard-size {shard_size}: expected a number of samples, or 0 for one file")
    options = FileOptions(
        shard_size=shard_size,
        compression=compression,
        pixel_options=compression_options(compression),
        threads=workers or os.cpu_count() or 1,
    )
    prepared = list(prepared)
    _refuse_foreign_output(out, inputs=prepared)
    plan = plan_merge(prepared, size=size, selection=selection or Selection(), modalities=modalities)
    out.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(out), progress(f"merging into {out.name}", total=len(plan.samples)) as advance:
        digest, shards = write_files(plan, out=out, options=options, advance=advance)
    written = [out, *(out.with_name(shard.name) for shard in shards)]
    return MergeSummary(
        path=out,
        n=len(plan.samples),
        size=size,
        digest=digest,
        bytes_written=sum(path.stat().st_size for path in written),
        left_out=plan.left_out,
        warnings=list(plan.warnings),
        shards=len(shards),
    )


def _refuse_foreign_output(out: Path, *, inputs: Iterable[Path]) -> None:
    """Only a dataset of ours may be replaced."""
    check_output(out, what="a fer-rgbd dataset", begins=HDF5, inputs=inputs)
    if not out.exists() or not out.stat().st_size or consent.given:
        return
    problem = "is not a fer-rgbd dataset"
    try:
        with open_hdf5(out) as root:
            if attribute_text(root.attrs.get("format", "")) == FORMAT:
                return
    except DatasetFileError as error:
        problem = f"is no whole fer-rgbd dataset ({error.message})"
    raise UsageError(
        f"this file exists and {problem}: it is not replaced",
        path=out,
        hint="remove it, choose another --out, or add --force",
    )
