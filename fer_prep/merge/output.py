"""The files of one merge: written under temporary names by threads, given their names when all of it is on the disk.

Threads read, verify, resample and store the pixels of samples; the tables are written at the end. At most a few
samples are in memory.
"""

from __future__ import annotations

import glob
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fer_prep.atomic_files import flush_folder
from fer_prep.dataset.shards import Shard, shard_name, write_index
from fer_prep.dataset.writer import GlobalWriter, Measured
from fer_prep.dataset.writer_disk import os_errors
from fer_prep.dataset.writer_pixels import PixelWriter
from fer_prep.merge.plan import MergePlan, PlannedSample
from fer_prep.merge.read_pixels import load_sample
from fer_prep.samples_table import Row

_FLUSH_EVERY: Final = 512
"""Samples (170 MB of 260²) after which the disk is set to work, so that the end need not wait for all of it."""


@dataclass(kw_only=True)
class MergeOutput:
    """The files of one merge under their temporary names."""

    out: Path
    plan: MergePlan
    options: dict[str, Any] | None
    compression: str
    pool: ThreadPoolExecutor
    ahead: int
    """How many samples may be under way."""
    advance: Callable[[int], None]
    staged: list[Path] = field(default_factory=list[Path])
    writer: GlobalWriter | None = None

    def stage(self, name: str) -> Path:
        """The temporary name of a file; fixed, so that the next merge finds what a killed one left."""
        path = staged_name(self.out.with_name(name))
        self.staged.append(path)
        return path

    def write(self, *, shard_size: int) -> tuple[str, list[Shard]]:
        """Write all files, then give them their names; return the digest and the shards.

        Whatever goes wrong, nothing is left behind; an error of the disk names the dataset, not a temporary file.
        """
        try:
            return self._write(shard_size=shard_size)
        except OSError as error:
            if error.filename not in map(str, self.staged):
                raise
            raise OSError(error.errno, error.strerror, str(self.out)) from error
        finally:
            self._clean()

    def _write(self, *, shard_size: int) -> tuple[str, list[Shard]]:
        samples = self.plan.samples
        settings = {**self.plan.settings, "compression": self.compression}
        if not shard_size:
            path = self.stage(self.out.name)
            digest, _ = self._write_file(path, samples, settings=settings)
            path.replace(self.out)
            flush_folder(self.out.parent)
            return digest, []
        shards: list[Shard] = []
        rows: list[Row] = []
        for start in range(0, len(samples), shard_size):
            part = samples[start : start + shard_size]
            name = shard_name(self.out, len(shards))
            path = self.stage(name)
            about = {**settings, "shard": [len(shards), start]}
            digest, written = self._write_file(path, part, settings=about)
            shards.append(Shard(name=name, staged=path, n=len(part), digest=digest))
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
        self, path: Path, samples: Sequence[PlannedSample], *, settings: dict[str, Any]
    ) -> tuple[str, list[Row]]:
        plan = self.plan
        with os_errors(path):
            writer = GlobalWriter(path, n=len(samples), size=plan.size, classes=plan.classes, compression=self.options)
        self.writer = writer
        flushed: Future[None] | None = None
        with ThreadPoolExecutor(1) as disk, closing(self._loaded(samples, writer.pixels)) as loaded:
            for number, measured in enumerate(loaded, 1):
                if not writer.pixels.any_order:
                    with os_errors(path):
                        writer.pixels.put(number - 1, measured.rgb, measured.depth)
                writer.append_row(measured)
                self.advance(1)
                if number % _FLUSH_EVERY == 0 and (flushed is None or flushed.done()):
                    flushed = disk.submit(writer.pixels.flush)
        return writer.finish(settings=settings), writer.rows

    def _loaded(self, samples: Sequence[PlannedSample], pixels: PixelWriter) -> Generator[Measured, None, None]:
        """Samples in order; threads load those that follow, and store their pixels where any order will do.

        Close it where it is left early: then no thread is at work any more, and the file may be closed.
        """
        waiting: deque[Future[Measured]] = deque()
        try:
            for number, sample in enumerate(samples):
                waiting.append(self.pool.submit(_load_and_put, number, sample, self.plan, pixels))
                if len(waiting) > self.ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)

    def _clean(self) -> None:
        """Remove what has not got its name."""
        if self.writer is not None:
            self.writer.abandon()
        for path in self.staged:
            path.unlink(missing_ok=True)


def staged_name(path: Path) -> Path:
    """Where a file of a dataset is written before it gets its name."""
    return path.with_name(f".{path.name}.part")


def remove_unfinished(out: Path) -> None:
    """Delete what killed merges into ``out`` left behind; call it with the lock held."""
    staged_name(out).unlink(missing_ok=True)
    for path in out.parent.glob(f".{glob.escape(out.stem)}-*{glob.escape(out.suffix)}.part"):
        path.unlink(missing_ok=True)


def _load_and_put(number: int, sample: PlannedSample, plan: MergePlan, pixels: PixelWriter) -> Measured:
    measured = load_sample(sample, plan)
    if pixels.any_order:
        pixels.put(number, measured.rgb, measured.depth)
    return measured
