"""Raw tree → prepared folder: lists the samples, hands them to an engine, publishes what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fer_prep.engines.engine import Engine, WorkerDied
from fer_prep.errors import Reason
from fer_prep.faces.depth_unit import check_depth_unit
from fer_prep.prepare.code_version import code_version
from fer_prep.prepare.folder_writer import PreparedWriter, open_for_writing
from fer_prep.prepare.parts import PART, Part
from fer_prep.prepare.prepare_sample import finder_of, table_row
from fer_prep.prepare.preview import write_preview
from fer_prep.prepare.records import Record
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.prepare.summary import PrepareSummary, describe, folder_texts
from fer_prep.prepare.task import PrepareTask, Reused, Staged, Task
from fer_prep.prepare.worker_place import WorkerPlace
from fer_prep.progress import Progress, silent
from fer_prep.sample import Listing, Rejection, Sample
from fer_prep.samples_table import cells_from_text
from fer_prep.sources import Source


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What a run may do beside preparing."""

    depth_unit_mm: float | None = None
    """Check this unit of the recorded depth against the size of human faces."""
    focal_px: float | None = None
    """Focal length in pixels of the recorded pictures, which makes that check exact."""
    preview: int = 0
    """Show so many samples on a contact sheet."""


def prepare(
    source: Source,
    *,
    root: Path,
    out: Path,
    settings: PrepareSettings,
    engine: Engine,
    part: Part | None = None,
    extras: Extras = Extras(),
    progress: Progress = silent,
    debug: bool = False,
) -> PrepareSummary:
    """Bring the prepared folder ``out`` up to date with the raw tree ``root``.

    Samples that are up to date are reused; killed at any moment and started again, the outcome is the same bytes.
    ``engine`` runs the work (see ``make_engine``); with ``debug``, unexpected errors end the run.
    With ``part``, that share of the samples goes to a folder of its own beside ``out``.
    Raises UsageError for a wrong root, PreparedFolderError for a folder that is busy or holds something else, OSError
    where the disk is full.
    """
    whole = _without_doubles(source.list_samples(root))
    listing = whole if part is None else part.of_listing(whole)
    out = out if part is None else part.folder(out)
    summary = PrepareSummary(
        dataset=source.dataset,
        folder=out,
        rejected=list(listing.rejected),
        left_out=list(listing.left_out),
        warnings=list(listing.warnings),
    )
    function = PrepareTask(
        source=source,
        settings=settings,
        root=root,
        folder=out,
        code=code_version(source),
        debug=debug,
    )
    if settings.landmarks.task_file is not None:
        summary.notes.append(f"landmarks by {settings.landmarks.describe()}")
    with open_for_writing(out, dataset=source.dataset) as writer:
        if engine.remote:
            function = replace(function, place=WorkerPlace.of(out, root=root, code=function.code))
        records = _run(function, listing.samples, engine=engine, writer=writer, summary=summary, progress=progress)
        samples = [sample for sample in listing.samples if sample.name in records]
        summary.rows = [table_row(sample, cells_from_text(records[sample.name].measured)) for sample in samples]
        description = describe(
            summary, settings={**settings.as_json(), "source": dict(source.settings())}, code=function.code
        )
        if part is not None:
            description[PART] = part.describe(whole)
        if extras.depth_unit_mm is not None:
            verdict = _depth_unit_verdict(source, samples, settings, extras, description, writer.earlier)
            description["depth_unit_check"] = verdict
            is_wrong = verdict["outcome"] in ("doubtful", "implausible")
            (summary.warnings if is_wrong else summary.notes).append(verdict["text"])
        writer.finish(records=records.values(), texts=folder_texts(summary, description=description))
        if extras.preview:
            faceless = {rejection.sample_id for rejection in summary.rejected if rejection.reason is Reason.NO_FACE}
            shown = [sample for sample in listing.samples if sample.name in records or sample.id in faceless]
            summary.preview = write_preview(
                out, samples=shown, count=extras.preview, source=source, settings=settings, progress=progress
            )
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
        # closed first when an error comes through here: no worker writes on after the lock is gone
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
        reason=Reason.WORKER_DIED,
    )


def _depth_unit_verdict(
    source: Source,
    samples: Sequence[Sample],
    settings: PrepareSettings,
    extras: Extras,
    description: Mapping[str, Any],
    earlier: Mapping[str, Any],
) -> dict[str, Any]:
    """Judge the depth unit, or take the verdict of an earlier run over the same pixels, settings and code."""
    same = all(earlier.get(name) == description[name] for name in ("digest", "settings", "code"))
    known = earlier.get("depth_unit_check")
    if same and isinstance(known, dict) and known.get("focal_px") == extras.focal_px:
        return known
    verdict = check_depth_unit(
        source.load,
        samples,
        finder=finder_of(settings.landmarks),
        depth_unit_mm=extras.depth_unit_mm or 0.0,
        focal_px=extras.focal_px,
    )
    return {"outcome": verdict.outcome, "text": verdict.text, "focal_px": extras.focal_px}


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
                    reason=Reason.DUPLICATE if sample.name in seen else Reason.BAD_NAME,
                )
            )
        else:
            seen.add(sample.name)
            samples.append(sample)
    return Listing(
        samples=tuple(samples), rejected=tuple(rejected), left_out=listing.left_out, warnings=listing.warnings
    )
