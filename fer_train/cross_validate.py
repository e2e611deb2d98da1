"""k-fold cross-validation from a dataset file to a finished run folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from fer_prep.errors import FoldsError
from fer_prep.folds import DEFAULT_PROTOCOL, FoldManifest, make_folds, read_folds, write_folds
from fer_prep.global_file import GlobalFile
from fer_prep.progress import Progress, silent
from fer_train.config import Config, MachineSettings
from fer_train.data import ResidentData
from fer_train.environment import choose_device, choose_precision, describe_environment
from fer_train.fold import FoldResult, run_fold
from fer_train.host_memory import keep_freed_memory
from fer_train.metrics import score
from fer_train.report import write_report
from fer_train.run_folder import ENVIRONMENT, SUMMARY, RunFolder
from fer_train.summary import gather_predictions, summarise
from fer_train.trained_run import TrainedRun

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
    device = set_up_machine(config.machine)
    with GlobalFile.open(data_path) as file:
        manifest = settle_folds(run, file, folds=folds, say=say)
        if only is not None:
            manifest.fold(only)  # refused now rather than after the data is read
        run.write_json(ENVIRONMENT, describe_environment(device) | {"data": data_path.name})
        data = ResidentData.load(
            data_path,
            device=device,
            classes=manifest.classes,
            image_size=config.data.image_size,
            equalise=config.data.equalise_luma,
            progress=progress,
        )
        fabric = make_fabric(device, config.machine)
        results = []
        for index in range(len(manifest.folds)) if only is None else [only]:
            result = run_fold(index, manifest=manifest, data=data, config=config, fabric=fabric, folder=run.fold(index))
            say(_fold_line(result, count=len(manifest.folds)))
            results.append(result)
        predictions = gather_predictions(results, classes=manifest.classes)
        run.write_predictions(predictions)
        summary = summarise(results, predictions=predictions, manifest=manifest, data=file, config=config)
        run.write_json(SUMMARY, summary)
        trained = TrainedRun(run=run, manifest=manifest, predictions=predictions, data=data)
        write_report(run, data=file, trained=trained)
    return summary


def set_up_machine(settings: MachineSettings) -> torch.device:
    """Choose the device, set PyTorch's threads and determinism for this process."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.deterministic:
        # cuBLAS reads this when it starts: it must be set before the first product on the GPU
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    device = choose_device(settings.device)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def make_fabric(device: torch.device, settings: MachineSettings) -> Fabric:
    """Lightning Fabric on one device with the wanted precision."""
    devices: Any = [device.index or 0] if device.type == "cuda" else 1
    precision: Any = choose_precision(settings.precision, device)
    return Fabric(accelerator=device.type, devices=devices, precision=precision)


def settle_folds(run: RunFolder, data: GlobalFile, *, folds: FoldChoice, say: Say) -> FoldManifest:
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


def choose_folds(data: GlobalFile, *, folds: FoldChoice, say: Say) -> FoldManifest:
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


def _fold_line(result: FoldResult, *, count: int) -> str:
    scores = score(result.labels, result.probabilities)
    return (
        f"fold {result.index + 1} of {count}: overall {scores.overall_accuracy:.1f} %, "
        f"average {scores.average_accuracy:.1f} %, loss {result.loss:.3f}"
    )
