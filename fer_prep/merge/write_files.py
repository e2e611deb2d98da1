"""The files of one merge: written under temporary names, given their names when all of it is on the disk.

Threads read, verify and resample samples ahead of the one that is written; at most a few are in memory.
"""

from __future__ import annotations

import glob
import json
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_prep.atomic_files import flush_folder, write_atomically
from fer_prep.dataset.schema import ShardEntry
from fer_prep.dataset.shards import is_shard_name, listed_shards, shard_name, write_index
from fer_prep.dataset.writer import DatasetWriter, Measured, Tables
from fer_prep.merge.gather import gather_landmarks, gather_soft_labels
from fer_prep.merge.load_sample import load_sample
from fer_prep.merge.plan import MergePlan


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How the files of a merge are written."""

    shard_size: int
    """Samples a shard; 0 writes one file."""
    compression: str
    """Its name, for the file's settings …"""
    pixel_options: dict[str, Any] | None
    """… and what h5py is told."""
    threads: int


def write_files(
    plan: MergePlan, *, out: Path, options: FileOptions, advance: Callable[[int], None]
) -> tuple[str, list[ShardEntry]]:
    """Write all files, then give them their names; return the dataset's digest and its shards.

    Whatever goes wrong, nothing is left behind, and an error of the disk names the dataset, not a temporary file.
    Call it with the lock held.
    """
    remove_unfinished(out)
    try:
        with closing(_load_ahead(plan, threads=options.threads)) as samples:
            return _write(plan, samples, out=out, options=options, advance=advance)
    except OSError as error:
        if error.filename is None or not Path(error.filename).name.startswith(f".{out.stem}"):
            raise
        raise OSError(error.errno, error.strerror, str(out)) from error
    finally:
        remove_unfinished(out)


def _write(
    plan: MergePlan,
    samples: Iterator[Measured],
    *,
    out: Path,
    options: FileOptions,
    advance: Callable[[int], None],
) -> tuple[str, list[ShardEntry]]:
    settings = {**plan.settings, "compression": options.compression}
    landmarks, soft = gather_landmarks(plan), gather_soft_labels(plan)
    n, size = len(plan.samples), options.shard_size
    whole = Tables(classes=plan.classes, modalities=plan.modalities, landmarks=landmarks, soft_labels=soft)
    shards: list[ShardEntry] = []
    digest = ""
    for number, start in enumerate(range(0, n, size or n)):
        rows = np.arange(start, min(start + (size or n), n))
        part = _staged(out, number if size else None)
        writer = DatasetWriter(
            part, n=len(rows), size=plan.size, classes=plan.classes, modalities=plan.modalities,
            compression=options.pixel_options,
        )  # fmt: skip
        try:
            for _ in rows:
                sample = next(samples)
                writer.append(sample)
                whole.append(sample)
                advance(1)
            digest = writer.finish(
                settings={**settings, "shard": [number, start]} if size else settings,
                landmarks={scheme: points.take(rows) for scheme, points in landmarks.items()},
                soft_labels=None if soft is None else soft[rows],
            )
        except BaseException:
            writer.abandon()
            raise
        shards.append(ShardEntry(name=shard_name(out, number=number, digest=digest), n=len(rows), digest=digest))
    if not size:
        _publish(out, [])
        return digest, []
    settings = {**settings, "shard_size": size}
    digest = write_index(_staged(out), tables=whole, shards=shards, size=plan.size, settings=settings)
    _publish(out, shards)
    return digest, shards


def _load_ahead(plan: MergePlan, *, threads: int) -> Generator[Measured, None, None]:
    """Samples in order; close it where it is left early: then no thread is at work any more."""
    waiting: deque[Future[Measured]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for sample in plan.samples:
                waiting.append(pool.submit(load_sample, sample, plan))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _publish(out: Path, shards: Sequence[ShardEntry]) -> None:
    """Give all files their names, the index last; then remove the shards of the dataset that was there before.

    Readers that have those open keep what they have. A note says which shards are concerned, so that after a kill in
    between the next merge removes what no index names.
    """
    concerned = [*listed_shards(out), *(shard.name for shard in shards)]
    if concerned:
        write_atomically(_note(out), content=json.dumps(concerned))
    for number, shard in enumerate(shards):
        _staged(out, number).replace(out.with_name(shard.name))
    _staged(out).replace(out)
    flush_folder(out.parent)
    remove_unlisted_shards(out)


def remove_unlisted_shards(out: Path) -> None:
    """Remove the shards that an exchange of datasets has to do with and the index that stands does not name."""
    note = _note(out)
    if not note.is_file():
        return
    try:
        concerned = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        concerned = []
    listed = listed_shards(out)
    for name in concerned:
        if is_shard_name(out, name) and name not in listed:
            out.with_name(name).unlink(missing_ok=True)
    note.unlink()


def remove_unfinished(out: Path) -> None:
    """Delete what killed merges into ``out`` left behind; call it with the lock held."""
    _staged(out).unlink(missing_ok=True)
    for path in out.parent.glob(f".{glob.escape(out.stem)}-[0-9]*{glob.escape(out.suffix)}.part"):
        path.unlink(missing_ok=True)
    remove_unlisted_shards(out)


def _note(out: Path) -> Path:
    return out.with_name(f".{out.name}.shards")


def _staged(out: Path, number: int | None = None) -> Path:
    """Where a file is written before it gets its name: always the same, so that what a killed merge left is found."""
    name = out.name if number is None else f"{out.stem}-{number:05d}{out.suffix}"
    return out.with_name(f".{name}.part")
