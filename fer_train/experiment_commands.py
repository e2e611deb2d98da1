"""``fer-train tune``: many trainings in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from fer_prep.console import console, messages, progress_bar
from fer_prep.errors import UsageError
from fer_train.cli import app

DataOption = Annotated[Path, typer.Option("--data", help="The dataset: an HDF5 file of fer-prep merge.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting of every training; repeatable."),
]


@app.command()
def tune(
    data: DataOption = Path("global.h5"),
    out: Annotated[Path, typer.Option("--out", help="Folder of the search; the same one goes on with it.")] = Path(
        "runs/tune"
    ),
    preset: Annotated[str, typer.Option(help="What everything else is set to; see `fer-train presets`.")] = "demo",
    settings: SetOption = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="KEY=VALUES",
            help="What to vary: KEY=LOW..HIGH, KEY=log:LOW..HIGH or KEY=A,B; repeatable. "
            "Default: both learning rates, weight decay and dropout.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, whoever runs them.")] = 30,
    folds: Annotated[int, typer.Option(min=2, help="Subject-disjoint folds a trial is judged by.")] = 3,
    holdout: Annotated[float, typer.Option(min=0, max=0.5, help="Share of the data, whole people, never seen.")] = 0.2,
    metric: Annotated[str, typer.Option(help="average_accuracy or overall_accuracy.")] = "average_accuracy",
    sampler: Annotated[str, typer.Option(help="random (as in the thesis) or tpe.")] = "random",
    prune: Annotated[
        bool, typer.Option(help="Give a trial up when its mean over folds falls behind the median.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seeds folds, people held out and what is tried.")] = 0,
) -> None:
    """Search for settings; start the same command several times to search side by side.

    Examples:

        fer-train tune --preset thesis --trials 50

        fer-train tune --search optimiser.fusion_rate=log:1e-4..1e-2 --search loss.name=center,island

        fer-train fit --preset runs/tune/best.toml --manifest runs/tune/holdout.folds.json
    """
    from fer_train.search_space import parse_space
    from fer_train.settings_file import load_preset, override, parse_assignment
    from fer_train.tune import BEST, HOLDOUT, SAMPLERS, SearchSettings
    from fer_train.tune import tune as run_search

    metrics = ("average_accuracy", "overall_accuracy")
    if sampler not in SAMPLERS or metric not in metrics:
        raise UsageError(f"expected --sampler {' or '.join(SAMPLERS)} and --metric {' or '.join(metrics)}")
    config = override(load_preset(preset), dict(parse_assignment(text) for text in settings or []))
    study = run_search(
        data,
        config=config,
        space=parse_space(search or [], config=config),
        settings=SearchSettings(
            trials=trials, folds=folds, holdout=holdout, metric=metric, sampler=sampler, prune=prune, seed=seed
        ),
        out=out,
        say=lambda text: messages.print(escape(text), soft_wrap=True),
        progress=progress_bar,
    )
    if not (out / BEST).exists():
        raise UsageError("no trial was completed: trials.csv says how each ended", path=out)
    best = study.best_trial
    console.print(f"best: trial {best.number}, {best.value:.2f} % {metric.replace('_', ' ')} over {folds} folds")
    for key, value in best.params.items():
        console.print(f"  {key} = {escape(str(value))}")
    console.print("This score chose the settings: it is no result.")
    if holdout:
        command = f"fer-train fit --data {data} --preset {out / BEST} --manifest {out / HOLDOUT}"
        console.print(f"judge them once, by the people held out: {escape(command)}", soft_wrap=True)
