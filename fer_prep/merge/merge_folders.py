"""Prepared folders → one HDF5 dataset: streamed, sorted by id, whole or not at all (``output`` writes it)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_prep.dataset.compression import compression_options
from fer_prep.dataset.schema import FORMAT, attribute_text, open_hdf5
from fer_prep.dataset.shards import Shard, listed_shards
from fer_prep.errors import DatasetFileError, UsageError
from fer_prep.folder_lock import file_lock
from fer_prep.folds.selection import Selection
from fer_prep.merge.output import MergeOutput, remove_unfinished
from fer_prep.merge.plan import MergePlan, plan_merge
from fer_prep.progress import Progress, silent


@dataclass(kw_only=True)
class MergeSummary:
    """What was written."""

    path: Path
    n: int
    size: int
    digest: str
    classes: tuple[str, ...]
    bytes_written: int
    left_out: int
    counts: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(dataset, emotion) → samples."""
    warnings: list[str] = field(default_factory=list[str])
    shards: int = 0


def merge(
    prepared: Iterable[Path],
    *,
    out: Path,
    size: int = 260,
    selection: Selection | None = None,
    shard_size: int = 0,
    compression: str = "none",
    workers: int | None = None,
    progress: Progress = silent,
) -> MergeSummary:
    """Write the dataset ``out``; nothing appears under that name before all of it is written and synced.

    ``size`` is the raster of the output; ``shard_size`` 0 writes one file, else so many samples a shard.
    ``workers`` threads decode (default: one for each core). Raises the error of the first input that is not in order.
    """
    if shard_size < 0:
        raise UsageError(f"--shard-size {shard_size}: expected a number of samples, or 0 for one file")
    options = compression_options(compression)
    plan = plan_merge(prepared, size=size, selection=selection or Selection())
    _refuse_foreign_output(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(out):
        remove_unfinished(out)
        digest, shards = _write(
            plan, out=out, shard_size=shard_size, compression=compression, options=options, workers=workers,
            progress=progress,
        )  # fmt: skip
    written = [out, *(out.parent / shard.name for shard in shards)]
    return MergeSummary(
        path=out,
        n=len(plan.samples),
        size=size,
        digest=digest,
        classes=plan.classes,
        bytes_written=sum(path.stat().st_size for path in written),
        left_out=plan.left_out,
        counts=_count(plan),
        warnings=list(plan.warnings),
        shards=len(shards),
    )


def _write(
    plan: MergePlan,
    *,
    out: Path,
    shard_size: int,
    compression: str,
    options: dict[str, Any] | None,
    workers: int | None,
    progress: Progress,
) -> tuple[str, list[Shard]]:
    """Write all files under temporary names, then rename; return the digest and the shards."""
    old_shards = set(listed_shards(out))
    threads = workers or os.cpu_count() or 1
    with (
        ThreadPoolExecutor(threads) as pool,
        progress(f"merging into {out.name}", total=len(plan.samples)) as advance,
    ):
        output = MergeOutput(
            out=out, plan=plan, options=options, compression=compression, pool=pool, ahead=2 * threads, advance=advance
        )
        digest, shards = output.write(shard_size=shard_size)
    for stale in old_shards - {shard.name for shard in shards}:
        (out.parent / stale).unlink(missing_ok=True)
    return digest, shards


def _refuse_foreign_output(out: Path) -> None:
    """Only a dataset of ours may be replaced."""
    if out.is_dir():
        raise UsageError("--out must be a file; this is a folder", path=out)
    if not out.exists():
        return
    problem = "is not a fer-rgbd dataset"
    try:
        with open_hdf5(out) as root:
            if attribute_text(root.attrs.get("format", "")) == FORMAT:
                return
    except DatasetFileError as error:
        problem = f"is no whole fer-rgbd dataset ({error.message})"
    raise UsageError(
        f"this file exists and {problem}: it is not replaced", path=out, hint="remove it, or choose another --out"
    )


def _count(plan: MergePlan) -> dict[tuple[str, str], int]:
    counted: Sequence[tuple[str, str]] = [
        (sample.row["dataset"], plan.classes[plan.output_label(sample.row)]) for sample in plan.samples
    ]
    return dict(Counter(counted))
