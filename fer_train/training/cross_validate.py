"""k-fold cross-validation from a dataset file to a finished run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FoldsError, UsageError
from fer_prep.folds.splits import DEFAULT_PROTOCOL, FoldManifest, make_folds, read_folds, write_folds
from fer_prep.progress import Progress, silent
from fer_train.config import Config
from fer_train.data.data_memory import load_data
from fer_train.data.pixel_store import PixelStore
from fer_train.environment import describe_environment
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.accuracy import score
from fer_train.metrics.summary import gather_predictions, summarise
from fer_train.report.html_report import write_report
from fer_train.training.fold import FoldResult, run_fold
from fer_train.training.initial_weights import refuse_known_people
from fer_train.training.machine import make_fabric, set_up_machine
from fer_train.training.parallel_folds import run_side_by_side
from fer_train.training.processes import launched_by_torchrun
from fer_train.training.run_folder import ENVIRONMENT, SUMMARY, RunFolder

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FoldChoice:
    """Which folds the user asked for: a file, a number, or neither."""

    manifest: Path | None = None
    number: int | None = None


def cross_validate(
    data_path: Path,
    *,
    config: Config,
    folds: FoldChoice,
    run: RunFolder,
    only: int | None = None,
    say: Say = lambda text: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train and judge every fold (or ``only`` one), going on where an earlier attempt stopped; return the summary.

    ``run`` holds the settings already. ``say`` hears one line per decision and per fold.
    """
    if config.machine.parallel_folds > 1 and launched_by_torchrun():
        raise UsageError("folds side by side and torchrun's processes inside a fold cannot be combined; use one")
    device = set_up_machine(config.machine)
    fabric = make_fabric(device, config.machine)
    first = fabric.is_global_zero
    if not first:
        say, progress = _no_words, silent
    with DatasetFile.open(data_path) as file:
        manifest = fabric.broadcast(settle_folds(run, file, folds=folds, say=say) if first else None)
        if manifest is None:
            raise RuntimeError("the first process sent no folds")
        indices = range(len(manifest.folds)) if only is None else [only]
        # refused now rather than after the data is read, or when a later fold's turn comes
        manifest.fold(indices[-1])
        judged = [name for index in indices for name in manifest.fold(index).val]
        refuse_known_people(config.model, file, file.rows_of(judged))
        if first:
            environment = describe_environment(device) | {"data": data_path.name, "processes": fabric.world_size}
            run.write_json(ENVIRONMENT, environment)

        def load() -> PixelStore:
            return load_data(
                data_path,
                device=device,
                machine=config.machine,
                classes=manifest.classes,
                image_size=config.data.image_size,
                equalise=config.data.equalise_luma,
                say=say,
                progress=progress,
            )

        def done(result: FoldResult) -> None:
            say(f"{manifest.title(result.index)}: {_scores_in_words(result)}")

        if config.machine.parallel_folds > 1 and len(indices) > 1:
            results = run_side_by_side(
                indices, data_path=data_path, manifest=manifest, config=config, run=run, say=say, done=done
            )
            data = load()
        else:
            data, results = load(), list[FoldResult]()
            for index in indices:
                results.append(
                    run_fold(index, manifest=manifest, data=data, config=config, fabric=fabric, folder=run.fold(index))
                )
                done(results[-1])
        summary = _finish(run, results, manifest=manifest, data=data, file=file, config=config) if first else {}
    return fabric.broadcast(summary)


def _finish(
    run: RunFolder,
    results: Sequence[FoldResult],
    *,
    manifest: FoldManifest,
    data: PixelStore,
    file: DatasetFile,
    config: Config,
) -> dict[str, Any]:
    """Write predictions, summary and report; return the summary."""
    predictions = gather_predictions(results, classes=manifest.classes)
    run.write_predictions(predictions)
    summary = summarise(results, predictions=predictions, manifest=manifest, data=file, config=config)
    run.write_json(SUMMARY, summary)
    trained = TrainedRun(run=run, manifest=manifest, predictions=predictions, data=data)
    write_report(run, data=file, trained=trained)
    return summary


def _no_words(text: str) -> None:
    """What the other processes of a training say."""


def settle_folds(run: RunFolder, data: DatasetFile, *, folds: FoldChoice, say: Say) -> FoldManifest:
    """The manifest of this run: its own when it is resumed (another one is refused), else the one asked for."""
    if not run.folds_file.exists():
        manifest = choose_folds(data, folds=folds, say=say)
        write_folds(manifest, run.folds_file, data=data)
        return manifest
    manifest = read_folds(run.folds_file, data=data)
    if folds.number not in (None, len(manifest.folds)):
        raise FoldsError(
            f"this run has {len(manifest.folds)} folds, {folds.number} are asked for",
            path=run.folds_file,
            hint="resume without --folds, or start a new run",
        )
    if folds.manifest is not None and read_folds(folds.manifest, data=data) != manifest:
        raise FoldsError(
            f"this run was started with other folds than those of {folds.manifest}",
            path=run.folds_file,
            hint="resume without --manifest, or start a new run",
        )
    return manifest


def choose_folds(data: DatasetFile, *, folds: FoldChoice, say: Say) -> FoldManifest:
    """``--manifest``; else the file beside the data if it has as many folds as wanted; else new subject-wise folds."""
    if folds.manifest is not None:
        manifest = read_folds(folds.manifest, data=data)
        if folds.number not in (None, len(manifest.folds)):
            raise FoldsError(
                f"has {len(manifest.folds)} folds, but --folds says {folds.number}",
                path=folds.manifest,
                hint="give --manifest or --folds, not both",
            )
        return manifest
    beside = data.path.with_suffix(".folds.json")
    if beside.exists():
        manifest = read_folds(beside, data=data)
        if folds.number in (None, len(manifest.folds)):
            say(f"folds: {beside} ({len(manifest.folds)} folds, {manifest.protocol})")
            return manifest
        say(f"folds: {beside} has {len(manifest.folds)}; making {folds.number} by {DEFAULT_PROTOCOL} instead")
    else:
        say(f"folds: no {beside.name} beside the data; making them by {DEFAULT_PROTOCOL}")
    return make_folds(data, folds=folds.number)


def _scores_in_words(result: FoldResult) -> str:
    scores = score(result.labels, result.probabilities)
    return f"overall {scores.overall_accuracy:.1f} %, average {scores.average_accuracy:.1f} %, loss {result.loss:.3f}"
