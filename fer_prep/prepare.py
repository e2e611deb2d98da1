"""Raw tree → prepared folder: lists the samples, hands them to an engine, publishes what comes back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_prep import __version__
from fer_prep.code_version import code_version
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.digests import bytes_digest, data_digest
from fer_prep.emotions import EMOTIONS
from fer_prep.engine import Engine, WorkerDied, default_engine
from fer_prep.prepare_sample import PrepareSettings, table_row
from fer_prep.prepare_task import PrepareTask, Reused, Staged, Task
from fer_prep.prepared_files import (
    FORMAT,
    FORMAT_VERSION,
    LEFT_OUT,
    REJECTED,
    SAMPLES,
    SUMMARY,
    rejections_text,
    samples_text,
)
from fer_prep.prepared_writer import PreparedWriter, open_for_writing
from fer_prep.progress import Progress, silent
from fer_prep.records import Record
from fer_prep.sample import Listing, Rejection, Sample
from fer_prep.samples_table import Row, cells_from_text
from fer_prep.sources import Source


@dataclass(kw_only=True)
class PrepareSummary:
    """What a run did and what the folder now holds."""

    dataset: str
    folder: Path
    prepared: int = 0
    """Samples whose pixels were made in this run."""
    reused: int = 0
    """Samples that were up to date."""
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    left_out: list[Rejection] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Recordings that should have become samples."""
        return len(self.rows) + len(self.rejected)

    @property
    def by_class(self) -> dict[str, int]:
        """Samples by emotion, in label order."""
        counts = Counter(int(row["label"]) for row in self.rows)
        return {name: counts[label] for label, name in enumerate(EMOTIONS)}

    def counts_of(self, column: str) -> dict[str, int]:
        """Samples by the value of a text column (``rgb_source``, ``landmarks_from`` …), most frequent first."""
        return dict(Counter(row[column] for row in self.rows).most_common())


def prepare(
    source: Source,
    *,
    root: Path,
    out: Path,
    settings: PrepareSettings,
    workers: int | None = None,
    threads: int = 1,
    engine: Engine | None = None,
    progress: Progress = silent,
    debug: bool = False,
) -> PrepareSummary:
    """Bring the prepared folder ``out`` up to date with the raw tree ``root``.

    Samples that are up to date are reused; killed at any moment and started again, the outcome is the same bytes.
    ``engine`` runs the work (default: processes on this machine, ``workers`` of them, ``threads`` samples in each).
    Raises UsageError for a wrong root, PreparedFolderError for a folder that is busy or holds something else, OSError
    where the disk is full.
    """
    listing = _without_doubles(source.list_samples(root))
    summary = PrepareSummary(
        dataset=source.dataset,
        folder=out,
        rejected=list(listing.rejected),
        left_out=list(listing.left_out),
        warnings=list(listing.warnings),
    )
    code = code_version(source)
    engine = engine or default_engine(workers=workers, items=len(listing.samples), threads=threads)
    function = PrepareTask(source=source, settings=settings, root=root, folder=out, code=code, debug=debug)
    with open_for_writing(out, dataset=source.dataset) as writer:
        records = _run(function, listing.samples, engine=engine, writer=writer, summary=summary, progress=progress)
        summary.rows = [
            table_row(sample, cells_from_text(records[sample.name].measured))
            for sample in listing.samples
            if sample.name in records
        ]
        settings_json = {**settings.as_json(), "source": dict(source.settings())}
        writer.finish(records=records.values(), texts=_texts(summary, settings=settings_json, code=code))
    return summary


def _run(
    function: PrepareTask,
    samples: Iterable[Sample],
    *,
    engine: Engine,
    writer: PreparedWriter,
    summary: PrepareSummary,
    progress: Progress,
) -> dict[str, Record]:
    """Work through all samples; return the records of those that are now up to date, by name."""
    tasks = [Task(sample=sample, known=writer.known.get(sample.name)) for sample in samples]
    records: dict[str, Record] = {}
    with ExitStack() as within:
        advance = within.enter_context(progress(f"preparing {summary.dataset}", total=len(tasks)))
        # closed before anything else when an error comes through here: no worker writes on after the lock is gone
        outcomes = within.enter_context(closing(engine.run(function, items=tasks)))
        for task, outcome in outcomes:
            if isinstance(outcome, Staged):
                writer.publish(outcome.record, rgb=outcome.rgb, depth=outcome.depth)
                summary.prepared += 1
            elif isinstance(outcome, Reused):
                summary.reused += 1
            else:
                summary.rejected.append(_as_rejection(task.sample, outcome))
            if isinstance(outcome, Staged | Reused):
                records[task.sample.name] = outcome.record
            advance(1)
    return records


def _as_rejection(sample: Sample, outcome: Rejection | WorkerDied) -> Rejection:
    if isinstance(outcome, Rejection):
        return outcome
    return Rejection(
        source_file=sample.source_file,
        sample_id=sample.id,
        stage="worker",
        expected="a worker process that survives this sample",
        found=f"{outcome.reason}, twice",
    )


def _without_doubles(listing: Listing) -> Listing:
    """Each name once, and usable as a file name: later ones are rejected, so that no sample overwrites another."""
    seen: set[str] = set()
    samples: list[Sample] = []
    rejected = list(listing.rejected)
    for sample in listing.samples:
        if sample.name in seen or "/" in sample.name:
            found = "the same name twice" if sample.name in seen else f"the name {sample.name!r}"
            rejected.append(
                Rejection(
                    source_file=sample.source_file,
                    sample_id=sample.id,
                    stage="list",
                    expected="a name of its own that can be a file name",
                    found=found,
                )
            )
        else:
            seen.add(sample.name)
            samples.append(sample)
    return Listing(
        samples=tuple(samples), rejected=tuple(rejected), left_out=listing.left_out, warnings=listing.warnings
    )


def _texts(summary: PrepareSummary, *, settings: Mapping[str, Any], code: str) -> dict[str, str]:
    """The tables, then ``prepared.json``; nothing in them depends on when, where or by how many workers."""
    tables = {
        SAMPLES: samples_text(summary.rows),
        REJECTED: rejections_text(summary.rejected),
        LEFT_OUT: rejections_text(summary.left_out),
    }
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": summary.dataset,
        "created_by": f"fer-prep {__version__}",
        "code": code,
        "settings": settings,
        "depth_unit_mm": UNIT_MM,
        "counts": {
            "samples": len(summary.rows),
            "rejected": len(summary.rejected),
            "left_out": len(summary.left_out),
            "by_class": summary.by_class,
        },
        "digest": data_digest((row["digest"] for row in summary.rows), (row["label"] for row in summary.rows)),
        "tables": {name: bytes_digest(text.encode()) for name, text in tables.items()},
    }
    return {**tables, SUMMARY: json.dumps(description, indent=2, ensure_ascii=False) + "\n"}
