"""k-fold cross-validation: from a dataset file to the folders of trained folds, and what they judged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FoldsError, UsageError
from fer_prep.folds.default import DEFAULT_FOLDS, which_folds_are_possible
from fer_prep.folds.splits import DEFAULT_PROTOCOL, FoldManifest, make_folds, read_folds, write_folds
from fer_prep.progress import Progress, silent
from fer_train.config import Config
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.inputs import refuse_absent_modalities
from fer_train.environment import describe_environment
from fer_train.metrics.registry import METRICS, score
from fer_train.models import network_class
from fer_train.training.features import kept_features, settle_blocks
from fer_train.training.fitted import fit_fold
from fer_train.training.fold import FoldResult, open_data, run_fold
from fer_train.training.initial_weights import refuse_known_people, try_network
from fer_train.training.machine import set_up_machine
from fer_train.training.parallel_folds import run_side_by_side
from fer_train.training.run_folder import FEATURES, RunFolder, Task
from fer_train.training.torchrun import is_first_process, launched_by_torchrun

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FoldChoice:
    """Which folds were asked for: those of a file or as they are, a number of them, or neither."""

    manifest: Path | FoldManifest | None = None
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """What came of all folds that were trained."""

    results: tuple[FoldResult, ...]
    """In the order of the folds."""
    manifest: FoldManifest
    data: ImageDataset


def cross_validate(
    data_path: Path,
    *,
    config: Config,
    folds: FoldChoice,
    run: RunFolder,
    only: int | None = None,
    seeds: int = 1,
    say: Say = lambda text: None,
    progress: Progress = silent,
) -> CrossValidation:
    """Train and judge every fold (or ``only`` one), going on where an earlier attempt stopped.

    What cannot be is refused before ``run`` is begun, which notes how many ``seeds`` it will have. ``say`` hears one
    line per decision and per fold. Of several processes of ``torchrun``, the first one talks and writes.
    """
    if config.machine.parallel_folds > 1 and launched_by_torchrun():
        raise UsageError("folds side by side and torchrun's processes inside a fold cannot be combined; use one")
    # a resumed run keeps its number of threads: another one rounds otherwise
    settings = replace(config.machine, threads=config.machine.threads or run.threads)
    machine = set_up_machine(settings, say=say if is_first_process() else _no_words)
    if not machine.first:
        say, progress = _no_words, silent
    fitted, task = network_class(config.model.network).fitted, Task(data_path, only, seeds)
    asked = config
    with ExitStack() as held:
        with DatasetFile.open(data_path) as file:
            file.verify_tables()  # before folds are made of them
            wants_features = fitted or config.model.with_classical
            if wants_features:
                config = settle_blocks(config, file, say=say)
            refuse_absent_modalities(config.model.input_names, file)
            run.refuse_other(asked, task)
            manifest = machine.broadcast(settle_folds(run, file, folds=folds, say=say) if machine.first else None)
            if manifest is None:
                raise RuntimeError("the first process sent no folds")
            indices = range(len(manifest.folds)) if only is None else [only]
            # refused now rather than after the data is read, or when a later fold's turn comes
            manifest.fold(indices[-1])
            judged = file.rows_of([name for index in indices for name in manifest.fold(index).val])
            refuse_known_people(config.model, file, judged)
            if not run.started:
                try_network(config, file, classes=manifest.classes, judged=judged, say=say)
            if machine.first:
                held.enter_context(run.writing())
                run.begin(asked, task)
                if not run.started:
                    write_folds(manifest, run.folds_file, data=file)
        if machine.first:
            environment = describe_environment(machine.device) | {"data": data_path.name, "processes": machine.world}
            run.write_environment(environment)

        def done(result: FoldResult) -> None:
            say(f"{manifest.title(result.index)}: {_scores_in_words(result)}")

        side_by_side = config.machine.parallel_folds > 1 and len(indices) > 1 and not fitted
        results: list[FoldResult] = []
        if side_by_side:
            # every process computes the features that it needs
            results = run_side_by_side(
                indices, data_path=data_path, manifest=manifest, config=config, run=run, say=say, done=done
            )
        data = open_data(
            data_path, config=config, device=machine.device, classes=manifest.classes, say=say, progress=progress
        )
        features: dict[str, Tensor] = {}
        if wants_features and not side_by_side:
            blocks = config.model.blocks.split(",")
            features = kept_features(run.path / FEATURES, data, blocks, progress=progress)
        for index in [] if side_by_side else indices:
            shared: Any = {"manifest": manifest, "data": data, "config": config, "folder": run.fold(index)}
            shared["features"] = features
            if fitted:
                results.append(fit_fold(index, **shared))
            else:
                results.append(run_fold(index, machine=machine, **shared))
            done(results[-1])
    return CrossValidation(results=tuple(results), manifest=manifest, data=data)


def _no_words(text: str) -> None:
    """What the other processes of a training say."""


def settle_folds(run: RunFolder, data: DatasetFile, *, folds: FoldChoice, say: Say) -> FoldManifest:
    """The manifest of this run: its own when it is resumed (another one is refused), else the one asked for."""
    if not run.started:
        return choose_folds(data, folds=folds, say=say)
    manifest = read_folds(run.folds_file, data=data)
    if folds.number not in (None, len(manifest.folds)):
        raise FoldsError(
            f"this run has {len(manifest.folds)} folds, {folds.number} are asked for",
            path=run.folds_file,
            hint="resume without --folds, or start a new run",
        )
    if folds.manifest is not None and _read(folds.manifest, data).folds != manifest.folds:
        raise FoldsError(
            "this run was started with other folds than those asked for",
            path=run.folds_file,
            hint="resume without --manifest, or start a new run",
        )
    return manifest


def choose_folds(data: DatasetFile, *, folds: FoldChoice, say: Say) -> FoldManifest:
    """``--manifest``; else the file beside the data if it has as many folds as wanted; else new subject-wise folds."""
    if folds.manifest is not None:
        manifest = _read(folds.manifest, data)
        if folds.number not in (None, len(manifest.folds)):
            raise FoldsError(
                f"the manifest has {len(manifest.folds)} folds, but --folds says {folds.number}",
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
    try:
        return make_folds(data, folds=folds.number)
    except FoldsError as error:
        fewer = which_folds_are_possible(data, command="--folds {}", fewer_than=folds.number or DEFAULT_FOLDS)
        raise FoldsError(error.message, path=data.path, hint=fewer) from None


def _read(manifest: Path | FoldManifest, data: DatasetFile) -> FoldManifest:
    return manifest if isinstance(manifest, FoldManifest) else read_folds(manifest, data=data)


def _scores_in_words(result: FoldResult) -> str:
    scores = score(result.labels, result.probabilities)
    told = (f"{metric.name} {metric.text(scores[metric.key])} {metric.unit}" for metric in METRICS[:2])
    return f"{', '.join(told)}, loss {result.loss:.3f}"
