"""``fer-train tune``, ``reproduce`` and ``curve``: many trainings in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_prep.cli.console import note, print_table, progress_bar, say
from fer_prep.cli.options import Options, manifest_names
from fer_prep.errors import UsageError
from fer_train.analysis.search_settings import SearchSettings
from fer_train.cli.app import app
from fer_train.cli.options import DATA, DataOption, SettingsOptions, make_config, refuse_early
from fer_train.metrics.registry import METRICS, metric_called


@app.command("tune")
@Options
def tune(
    *,
    data: DataOption = DATA,
    out: Annotated[Path, typer.Option("--out", help="Folder of the search; the same one goes on with it.")] = Path(
        "runs/tune"
    ),
    base: SettingsOptions,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="KEY=VALUES",
            help="What to vary: KEY=LOW..HIGH, KEY=log:LOW..HIGH or KEY=A,B; repeatable.",
            show_default="both learning rates, weight decay and dropout",
        ),
    ] = None,
    how: SearchSettings,
) -> None:
    """Search for settings; start the same command several times, on any machines that share --out, to search together.

    Examples:

        fer-train tune --preset thesis --trials 50

        fer-train tune --search optimiser.fusion_rate=log:1e-4..1e-2 --search loss.name=center,island

        fer-train fit --preset runs/tune/best.toml --manifest runs/tune/holdout.folds.json
    """
    from fer_train.analysis.search_space import parse_space

    refuse_early(data, base)
    config, metric = make_config(base), metric_called(how.metric)
    space = parse_space(search or [], config=config)
    from fer_train.analysis.tune import BEST, HOLDOUT
    from fer_train.analysis.tune import tune as run_search

    study = run_search(data, config=config, space=space, settings=how, out=out, say=note, progress=progress_bar)
    if not (out / BEST).exists():
        raise UsageError("no trial was completed: trials.csv says how each ended", path=out)
    best = study.best_trial
    say(f"best: trial {best.number}, {metric.name} {best.value:.2f} {metric.unit} over {how.folds} folds")
    for key, value in best.params.items():
        say(f"  {key} = {value}")
    say("This score chose the settings: it is no result.")
    if how.holdout:
        command = f"fer-train fit --data {data} --preset {out / BEST} --manifest {out / HOLDOUT}"
        say(f"judge them once, by the people held out: {command}")


@app.command("reproduce")
@Options
def reproduce(
    *,
    experiment: Annotated[
        str | None,
        typer.Argument(
            autocompletion=manifest_names("experiments"),
            help="An experiment by name, or a TOML file of one.",
            show_default="list them",
        ),
    ] = None,
    data: DataOption = DATA,
    base: SettingsOptions,
    protocol: Annotated[
        str,
        typer.Option(
            autocompletion=manifest_names("protocols", "subject-disjoint", "thesis"),
            help="subject-disjoint, thesis (the experiment's own), or a protocol's name.",
        ),
    ] = "subject-disjoint",
    folds: Annotated[int | None, typer.Option(min=2, help="Folds.", show_default="the protocol's")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="the protocol's")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the rows' runs.", show_default="runs/<experiment>")
    ] = None,
) -> None:
    """Run an experiment of the thesis and print its table beside the figures that are known; goes on where it stopped.

    Examples:

        fer-train reproduce

        fer-train reproduce table-3.5 --data global.h5

        fer-train reproduce table-3.7 --protocol thesis --trust-pickle --set model.weights=enet_b2.pt
    """
    from fer_train.analysis.experiment import experiment_names, read_experiment

    if experiment is None:
        known = [read_experiment(name) for name in experiment_names()]
        rows = [(e.name, e.place, e.title, len(e.rows), e.protocol) for e in known]
        print_table("Experiments", ("name", "thesis", "what", "rows", "protocol"), rows)
        return
    chosen = read_experiment(experiment)
    refuse_early(data, base)
    config = make_config(base)
    from fer_train.report.reproduce import COLUMNS
    from fer_train.report.reproduce import reproduce as run_experiment

    folder = out or Path("runs") / chosen.name
    found = run_experiment(
        chosen,
        data,
        config=config,
        protocol=protocol,
        folds=folds,
        repeats=repeats,
        out=folder,
        say=note,
        progress=progress_bar,
    )
    print_table(f"{chosen.place}: {chosen.title}", COLUMNS, found.table())
    for remark in found.remarks():
        say(f"- {remark}")
    say(f"written to {folder / 'table.md'}; each row's report is in its folder")


@app.command()
def curve(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=manifest_names("presets"), help="Presets or TOML files.", show_default="classical small-data"
        ),
    ] = None,
    data: DataOption = DATA,
    people: Annotated[str, typer.Option("--people", help="Numbers of people in training, with commas.")] = "5,10,20,40",
    folds: Annotated[
        int | None, typer.Option(min=2, help="Folds.", show_default="those of the manifest beside the data")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="A fold manifest.", show_default="<data>.folds.json beside the data")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the runs, curve.csv and curve.png.")] = Path(
        "runs/curve"
    ),
) -> None:
    """Accuracy over the number of people in training, on the same held-out people; goes on where it stopped.

    Examples:

        fer-train curve

        fer-train curve classical thesis --people 10,20,40,80 --out runs/how-many
    """
    from fer_train.report.curve import curve as run_curve
    from fer_train.settings_file import load_preset
    from fer_train.training.cross_validate import FoldChoice

    try:
        counts = [int(count) for count in people.split(",")]
    except ValueError:
        raise UsageError(f"--people {people!r}: expected numbers with commas") from None
    configs = [load_preset(name) for name in networks or ("classical", "small-data")]
    points = run_curve(
        data,
        configs={config.name: config for config in configs},
        counts=counts,
        folds=FoldChoice(manifest=manifest, number=folds),
        out=out,
        say=note,
        progress=progress_bar,
    )
    metrics = METRICS[:2]
    rows = [
        (point.network, point.people, *(metric.mean_text(point.summary[metric.key]) for metric in metrics))
        for point in points
    ]
    print_table("By people in training", ("network", "people", *(metric.title for metric in metrics)), rows)
    say(f"written to {out}: curve.csv with the intervals over people, and curve.png")
