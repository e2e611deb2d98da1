"""``fer-train kfold``, ``fit`` and ``presets``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fer_prep.cli.console import note, print_json, print_table, progress_bar, say
from fer_prep.cli.options import JsonOption, Options, manifest_names
from fer_prep.errors import UsageError
from fer_prep.options import option
from fer_train.cli.app import app
from fer_train.cli.options import (
    DATA,
    KfoldOptions,
    SettingsOptions,
    ShortOptions,
    make_config,
    refuse_early,
    require_data,
    say_if_no_gpu,
)
from fer_train.cli.result_table import print_summary
from fer_train.training.torchrun import is_first_process, launched_by_torchrun

if TYPE_CHECKING:
    from fer_train.config import Config
    from fer_train.training.run_folder import RunFolder, Task


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Which data a run learns from, and where it goes."""

    data: Path | None = option(None, show_default=f"{DATA}, or the resumed run's")
    """The dataset: an HDF5 file of fer-prep merge."""
    manifest: Path | None = option(None, show_default="<data>.folds.json beside the data")
    """A fold manifest."""
    out: Path | None = option(None, show_default="runs/<time>-<name>")
    """The run folder."""
    resume: bool = option(False, name="--resume")
    """Continue the run in --out, or the newest unfinished one in runs/."""
    seeds: int | None = option(None, min=1, show_default="1, or the resumed run's")
    """Train everything so many times, each time with another seed: mean and spread over seeds beside folds."""
    baselines: bool = option(True, name="--baselines/--no-baselines")
    """Hold the result against the most frequent class, landmarks, and the preset classical, on the same folds."""


@app.command("kfold")
@Options
def kfold(
    *,
    where: RunOptions,
    folds: Annotated[
        int | None, typer.Option(min=2, help="How many folds.", show_default="those of the manifest beside the data")
    ] = None,
    chosen: SettingsOptions,
    short: KfoldOptions,
) -> None:
    """Cross-validate: train one network a fold, judge it on the people it has not seen, write a report.

    Examples:

        fer-train kfold --folds 5

        fer-train kfold --preset thesis --loss center --out runs/center

        fer-train kfold --preset demo --modality rgb --set training.seed=7

        fer-train kfold --resume

        fer-train kfold --preset demo --seeds 5

        fer-train kfold --preset thesis --parallel-folds 5

        torchrun --nproc-per-node 4 -m fer_train kfold --preset thesis --out runs/thesis
    """
    _train(where, chosen, short, folds=folds)


@app.command("fit")
@Options
def fit(
    *,
    where: RunOptions,
    fold: Annotated[
        int | None,
        typer.Option(min=0, help="Which fold of the manifest, counted from 0.", show_default="0, or the resumed run's"),
    ] = None,
    chosen: SettingsOptions,
    short: ShortOptions,
) -> None:
    """Train one fold alone: one split into people to learn from and people to be judged by.

    Examples:

        fer-train fit

        fer-train fit --fold 2 --preset thesis --loss focal --out runs/focal-2
    """
    _train(where, chosen, short, fold=fold if where.resume else fold or 0)


@app.command("pretrain")
@Options
def pretrain(
    *,
    data: Annotated[Path, typer.Option("--data", help="A dataset of people whom nobody will be judged by.")],
    chosen: SettingsOptions,
    short: ShortOptions,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file that --weights takes.")] = Path(
        "start.safetensors"
    ),
) -> None:
    """Train a start for small datasets, of generated people for example, and write it as one file.

    Nine tenths of the people are learned from, the others judged. The preset is small-data where none is named.

    Examples:

        fer-train pretrain --data data/generated.h5 --epochs 8

        fer-train kfold --preset small-data --weights start.safetensors
    """
    from fer_train.settings_file import load_preset
    from fer_train.training.pretrain import pretrain as train_start
    from fer_train.training.pretrain import start_settings
    from fer_train.training.run_folder import RunFolder, default_run_path

    config = start_settings(make_config(chosen, short=short, base=load_preset("small-data")))
    run = RunFolder(default_run_path(config.name))
    train_start(data, out, config=config, run=run, say=note, progress=progress_bar)
    say(f"{out}: take it with --weights {out}, with the preset and the image size that it was made with")


@app.command()
def presets(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=manifest_names("presets"),
            help="A preset or TOML file to show in full.",
            show_default="list them",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the presets, or show every setting of one.

    Examples:

        fer-train presets

        fer-train presets thesis > mine.toml

        fer-train presets thesis --json
    """
    from fer_train.settings_file import config_to_toml, load_preset, preset_names

    if as_json:
        wanted = preset_names() if name is None else [name]
        print_json({known: load_preset(known) for known in wanted})
        return
    if name is not None:
        say(config_to_toml(load_preset(name)))
        return
    rows: list[tuple[str, str, str, object, str]] = []
    for known in preset_names():
        config = load_preset(known)
        size, epochs = config.data.image_size, config.training.epochs
        rows.append((known, config.model.backbone, f"{size} × {size}", epochs, config.loss.name))
    print_table("Presets", ("name", "backbone", "input", "epochs", "loss"), rows)


def _train(
    where: RunOptions,
    chosen: SettingsOptions,
    short: ShortOptions,
    *,
    folds: int | None = None,
    fold: int | None = None,
) -> None:
    """Train, then print the result table and where the report is."""
    run, config, task = _open_run(where, chosen, short, fold=fold)
    from fer_train.report.results import train_and_report
    from fer_train.training.cross_validate import FoldChoice

    summary = train_and_report(
        task.data,
        config=config,
        folds=FoldChoice(manifest=where.manifest, number=folds),
        run=run,
        only=task.fold,
        seeds=task.seeds,
        baselines=where.baselines,
        say=note,
        progress=progress_bar,
    )
    if is_first_process():
        print_summary(summary)
        if run.report.exists():
            say(f"report: {run.report}")


def _open_run(
    where: RunOptions, chosen: SettingsOptions, short: ShortOptions, *, fold: int | None
) -> tuple[RunFolder, Config, Task]:
    """The run folder, and the settings, data and fold to go on with; a resumed run has them all, and no others."""
    from fer_train.training.run_folder import RunFolder, Task, default_run_path, newest_unfinished_run

    if launched_by_torchrun() and where.out is None:
        raise UsageError("processes that share a training must agree on its run folder", hint="name one with --out")
    if where.resume:
        run = RunFolder.open(where.out or newest_unfinished_run())
        known = run.task
        task = Task(where.data or known.data, known.fold if fold is None else fold, where.seeds or known.seeds)
        require_data(task.data)
        config = make_config(chosen, short=short, base=run.config)
    else:
        task = Task(where.data or DATA, fold, where.seeds or 1)
        refuse_early(task.data, chosen, short)
        config = make_config(chosen, short=short)
        run = RunFolder(where.out or default_run_path(config.name))
        if run.finished and run.report.exists():
            raise UsageError(
                "there is a run in this folder already, and it is finished",
                path=run.path,
                hint="--resume judges it and writes its report once more; for another run choose --out",
            )
    run.refuse_other(config, task)
    if is_first_process():
        if run.started:
            note(f"resuming {run.path}")
        if where.resume or chosen.preset is not None:
            say_if_no_gpu(config)
    return run, config, task
