"""Raw tree → prepared folder: lists the samples, hands them to an engine, publishes what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fer_prep.engines.engine import Engine, WorkerDied
from fer_prep.errors import Reason, UsageError
from fer_prep.faces.depth_unit import DepthUnitVerdict, check_depth_unit
from fer_prep.faces.landmarks import make_finder
from fer_prep.faces.registration import RegistrationVerdict, check_registration
from fer_prep.outputs import consent
from fer_prep.prepare.code_version import code_version
from fer_prep.prepare.folder import FORMAT_VERSION, sample_file
from fer_prep.prepare.folder_writer import PreparedWriter, Record, open_for_writing
from fer_prep.prepare.landmark_tables import tables_of_samples
from fer_prep.prepare.parts import PART, Part
from fer_prep.prepare.prepare_sample import SEARCHING, table_row
from fer_prep.prepare.preview import write_preview
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.prepare.summary import PrepareSummary, describe, folder_content
from fer_prep.prepare.worker import PrepareTask, Task
from fer_prep.prepare.worker_place import WorkerPlace
from fer_prep.progress import Progress, silent
from fer_prep.sample import Listing, Rejection, Sample
from fer_prep.samples_table import cells_from_text
from fer_prep.sources import RecordsDepth, Source
from fer_prep.sources.raw_tree import without_duplicates

CHECKS: Final = ("depth_unit_check", "registration_check")
"""The keys in ``prepared.json`` of what recordings of depth are judged by all together."""
DOUBTS: Final = ("doubtful", "implausible", "does not fit")


def prepare(
    source: Source,
    *,
    root: Path,
    out: Path,
    settings: PrepareSettings,
    engine: Engine,
    part: Part | None = None,
    preview: int = 0,
    progress: Progress = silent,
    debug: bool = False,
) -> PrepareSummary:
    """Bring the prepared folder ``out`` up to date with the raw tree ``root``.

    Samples that are up to date are reused; killed at any moment and started again, the outcome is the same bytes.
    ``engine`` runs the work (see ``make_engine``); with ``debug``, unexpected errors end the run.
    With ``part``, that share of the samples goes to a folder of its own beside ``out``; ``preview`` samples are shown
    on a contact sheet.
    Raises UsageError for a wrong root, BusyError and PreparedFolderError for a folder that another run writes or that
    holds something else, OSError where the disk is full.
    """
    listing = source.list_samples(root)
    samples, doubles = without_duplicates(listing.samples)  # a source of another package may have some
    listing = replace(listing, samples=tuple(samples), rejected=(*listing.rejected, *doubles))
    whole, more = listing, dict[str, Any]()
    if part is not None:
        listing, out, more = part.of_listing(whole), part.folder(out), {PART: part.describe(whole)}
    is_searched = settings.rejects_faceless and set(settings.landmarks.kinds) <= {*SEARCHING}
    shows_faces = "rgb" in listing.modalities or any("mesh" in sample.files for sample in listing.samples)
    if settings.framing == "frontal" and any(sample.yaw_degrees or sample.pitch_degrees for sample in samples):
        raise UsageError("--framing frontal has the frontal view alone", hint="leave --views out, or frame by rotate")
    if listing.samples and is_searched and not shows_faces:
        raise UsageError(
            f"there is depth alone, in which --landmarks {settings.landmarks} finds no face",
            path=root,
            hint="--landmarks none --framing none keeps it as recorded; file:FILE frames it by given points",
        )
    summary = PrepareSummary(
        dataset=source.dataset,
        folder=out,
        classes=listing.classes,
        modalities=listing.modalities,
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
        modalities=listing.modalities,
        debug=debug,
    )
    with open_for_writing(out, dataset=source.dataset) as writer:
        if writer.earlier.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
            summary.notes.append("the folder was of another format version: everything is prepared anew")
        if engine.remote:
            function = replace(function, place=WorkerPlace.of(out, root=root, code=function.code))
        records = _run(function, listing.samples, engine=engine, writer=writer, summary=summary, progress=progress)
        content = _finish(function, listing, records=records, summary=summary, more=more, earlier=writer.earlier)
        writer.finish(records=records.values(), content=content)
        if preview:
            faceless = {rejection.sample_id for rejection in summary.rejected if rejection.reason is Reason.NO_FACE}
            shown = [
                sample
                for sample in listing.samples
                if (sample.name in records or sample.id in faceless) and (sample.publishable or consent.to_show_all)
            ]
            summary.preview = write_preview(
                out, samples=shown, count=preview, source=source, settings=settings, progress=progress
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
            if isinstance(outcome, WorkerDied):
                summary.rejected.append(_killer(task.sample, outcome))
            elif isinstance(outcome, Rejection):
                summary.rejected.append(outcome)
            else:
                records[task.sample.name] = outcome.record
                if outcome.staged:
                    writer.publish(outcome.record, staged=outcome.staged)
                    summary.prepared += 1
                else:
                    summary.reused += 1
            advance(1)
    return records


def _killer(sample: Sample, outcome: WorkerDied) -> Rejection:
    return Rejection(
        source_file=sample.source_file,
        sample_id=sample.id,
        stage="worker",
        expected="a worker process that survives this sample",
        found=f"{outcome.reason}, twice",
        reason=Reason.WORKER_DIED,
    )


def _finish(
    function: PrepareTask,
    listing: Listing,
    *,
    records: Mapping[str, Record],
    summary: PrepareSummary,
    more: Mapping[str, Any],
    earlier: Mapping[str, Any],
) -> dict[str, str | bytes]:
    """Fill ``summary`` and return the files that make the folder whole; ``more`` is added to ``prepared.json``."""
    source, settings = function.source, function.settings
    samples = sorted((sample for sample in listing.samples if sample.name in records), key=lambda sample: sample.id)
    summary.rows = [
        table_row(sample, cells_from_text(records[sample.name].measured), classes=listing.classes) for sample in samples
    ]
    for sample in samples:
        for how, value in records[sample.name].set_right.items():
            summary.set_right.setdefault(f"{how} {value}", []).append(sample.id)
    for how, ids in sorted(summary.set_right.items()):
        rest = " …" if len(ids) > 3 else ""
        summary.notes.append(f"{len(ids)} recording(s) {how}: {', '.join(ids[:3])}{rest}")
    files = [
        sample_file(function.folder, "landmarks", sample.name) if "landmarks" in records[sample.name].files else None
        for sample in samples
    ]
    landmarks = tables_of_samples(files, ids=[sample.id for sample in samples])
    description = describe(
        summary,
        settings={**settings.as_json(), "source": dict(source.settings())},
        code=function.code,
        schemes=landmarks,
    )
    description |= more
    if isinstance(source, RecordsDepth) and "depth" in listing.modalities:
        # verdicts of an earlier run over the same pixels, settings and code stand
        is_same = all(earlier.get(name) == description[name] for name in ("digest", "settings", "code"))
        known = {name: earlier[name] for name in CHECKS if is_same and name in earlier}
        verdicts = known or _judged(source, samples, settings=settings, modalities=listing.modalities)
        for verdict in verdicts.values():
            (summary.warnings if verdict["outcome"] in DOUBTS else summary.notes).append(verdict["text"])
        description |= verdicts
    return folder_content(summary, description=description, landmarks=landmarks)


def _judged(
    source: Source, samples: Sequence[Sample], *, settings: PrepareSettings, modalities: Sequence[str]
) -> dict[str, dict[str, str]]:
    """What the recordings say of their depth unit, and of the registration of their pairs, by name of the check."""
    if not isinstance(source, RecordsDepth):
        return {}
    verdicts: dict[str, DepthUnitVerdict | RegistrationVerdict] = {
        "depth_unit_check": check_depth_unit(
            source.load,
            samples,
            finder=make_finder(settings.landmarks),
            depth_unit_mm=source.depth_unit_mm,
            focal_px=source.focal_px,
        )
    }
    if "rgb" in modalities:
        verdicts["registration_check"] = check_registration(source.load, samples)
    return {name: {"outcome": verdict.outcome, "text": verdict.text} for name, verdict in verdicts.items()}
