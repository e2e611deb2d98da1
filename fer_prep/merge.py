"""Prepared folders → one HDF5 dataset: streamed, sorted by id, whole or not at all.

Threads decode, verify and resample ahead of the one that writes; at most a few samples are in memory.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import flush_folder
from fer_prep.compression import compression_options
from fer_prep.digests import pixel_digest
from fer_prep.errors import DatasetFileError, FormatError, PreparedFolderError, UsageError
from fer_prep.formats.pictures import read_depth_png, read_rgb
from fer_prep.global_schema import FORMAT, STILL_OPEN_HINT, attribute_text, open_hdf5
from fer_prep.global_writer import GlobalWriter, Measured, measure
from fer_prep.merge_plan import MergePlan, PlannedSample, plan_merge
from fer_prep.progress import Progress, silent
from fer_prep.resample import rescale_row, resize_depth, resize_rgb
from fer_prep.samples_table import Row
from fer_prep.selection import Selection
from fer_prep.shards import Shard, listed_shards, shard_name, write_index


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
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """(dataset, emotion) → samples."""
    warnings: list[str] = field(default_factory=list)
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
    old_shards = set(listed_shards(out))
    with (
        ThreadPoolExecutor(workers or os.cpu_count() or 1) as threads,
        progress(f"merging into {out.name}", total=len(plan.samples)) as advance,
    ):
        loaded = _load_ahead(plan, threads, ahead=2 * (workers or os.cpu_count() or 1))
        output = _Output(out=out, plan=plan, options=options, compression=compression)
        try:
            digest, shards = output.write(loaded, shard_size=shard_size, advance=advance)
        except BaseException:
            output.abandon()
            raise
    for stale in old_shards - {shard.name for shard in shards}:
        (out.parent / stale).unlink(missing_ok=True)
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


@dataclass(kw_only=True)
class _Output:
    """The files of one merge under their temporary names."""

    out: Path
    plan: MergePlan
    options: dict[str, Any] | None
    compression: str
    staged: list[Path] = field(default_factory=list)
    writer: GlobalWriter | None = None

    def stage(self, name: str) -> Path:
        """The temporary name of a file; fixed, so that a killed merge leaves at most one of each."""
        path = self.out.with_name(f".{name}.part")
        self.staged.append(path)
        return path

    def write(self, loaded: Iterator[Measured], *, shard_size: int, advance: Any) -> tuple[str, list[Shard]]:
        """Write all files, then give them their names; return the digest and the shards."""
        settings = {**self.plan.settings, "compression": self.compression}
        if not shard_size:
            path = self.stage(self.out.name)
            digest, _ = self._write_file(path, loaded, n=len(self.plan.samples), settings=settings, advance=advance)
            path.replace(self.out)
            flush_folder(self.out.parent)
            return digest, []
        shards: list[Shard] = []
        rows: list[Row] = []
        for start in range(0, len(self.plan.samples), shard_size):
            n = min(shard_size, len(self.plan.samples) - start)
            name = shard_name(self.out, len(shards))
            path = self.stage(name)
            about = {**settings, "shard": [len(shards), start]}
            digest, written = self._write_file(path, loaded, n=n, settings=about, advance=advance)
            shards.append(Shard(name=name, staged=path, n=n, digest=digest))
            rows += written
        index = self.stage(self.out.name)
        digest = write_index(
            index,
            shards=shards,
            size=self.plan.size,
            rows=rows,
            classes=self.plan.classes,
            settings={**settings, "shard_size": shard_size},
        )
        for shard in shards:
            shard.staged.replace(self.out.parent / shard.name)
        index.replace(self.out)
        flush_folder(self.out.parent)
        return digest, shards

    def _write_file(
        self, path: Path, loaded: Iterator[Measured], *, n: int, settings: dict[str, Any], advance: Any
    ) -> tuple[str, list[Row]]:
        try:
            writer = GlobalWriter(path, n=n, size=self.plan.size, classes=self.plan.classes, compression=self.options)
        except BlockingIOError:
            raise DatasetFileError("another merge is writing this dataset", path=self.out) from None
        self.writer = writer
        for _ in range(n):
            writer.append(next(loaded))
            advance(1)
        return writer.finish(settings=settings), writer.rows

    def abandon(self) -> None:
        """Remove what was written so far."""
        if self.writer is not None:
            self.writer.abandon()
            for path in self.staged:
                path.unlink(missing_ok=True)


def _load_ahead(plan: MergePlan, threads: ThreadPoolExecutor, *, ahead: int) -> Iterator[Measured]:
    """Samples in order, decoded by the threads while earlier ones are written; at most ``ahead`` wait."""
    waiting: deque[Future[Measured]] = deque()
    try:
        for sample in plan.samples:
            waiting.append(threads.submit(_load, sample, plan))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _load(sample: PlannedSample, plan: MergePlan) -> Measured:
    """Read, verify and resample one sample, and measure what the file stores about its pixels."""
    rgb, depth = read_prepared(sample)
    rgb, depth = resize_rgb(rgb, size=plan.size), resize_depth(depth, size=plan.size)
    row = rescale_row(sample.row, old_size=sample.prepared_size, size=plan.size)
    verified = sample.row["digest"] if plan.size == sample.prepared_size else ""
    return measure({**row, "label": plan.output_label(row)}, rgb, depth, digest=verified)


def read_prepared(sample: PlannedSample) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The pixels of a prepared sample, exactly as they were prepared or not at all."""
    path = sample.rgb_path
    try:
        rgb = read_rgb(path.read_bytes())
        path = sample.depth_path
        depth = read_depth_png(path.read_bytes())
    except FormatError as error:
        raise _damaged(sample, path, expected=error.expected, found=error.found) from None
    except FileNotFoundError:
        raise _damaged(sample, path, expected="a picture", found="no file") from None
    shape = (sample.prepared_size, sample.prepared_size)
    if rgb.shape[:2] != shape or depth.shape != shape:
        found = f"RGB {rgb.shape[1]} × {rgb.shape[0]}, depth {depth.shape[1]} × {depth.shape[0]}"
        raise _damaged(sample, path, expected=f"{shape[0]} × {shape[0]} pixels as prepared.json says", found=found)
    if pixel_digest(rgb, depth) != sample.row["digest"]:
        raise _damaged(sample, path, expected="the pixels that were prepared", found="others (digest does not fit)")
    return rgb, depth


def _damaged(sample: PlannedSample, path: Path, *, expected: str, found: str) -> PreparedFolderError:
    return PreparedFolderError(
        f"sample {sample.row['id']}: expected {expected}; found {found}",
        path=path,
        hint="run the command that prepared this folder again: it mends what is damaged",
    )


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
        if error.hint == STILL_OPEN_HINT:
            raise
        problem = f"is no whole fer-rgbd dataset ({error.message})"
    raise UsageError(
        f"this file exists and {problem}: it is not replaced", path=out, hint="remove it, or choose another --out"
    )


def _count(plan: MergePlan) -> dict[tuple[str, str], int]:
    counted: Sequence[tuple[str, str]] = [
        (sample.row["dataset"], plan.classes[plan.output_label(sample.row)]) for sample in plan.samples
    ]
    return dict(Counter(counted))
