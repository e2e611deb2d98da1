"""``fer-train evaluate`` and ``predict``: trained networks on other data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

from fer_prep.cli.console import EXIT_DATA_WRONG, console, note, print_json, print_table, progress_bar, say, warn
from fer_prep.cli.options import ALLOWED_REJECTED, JsonOption, MaxRejected, too_many_rejected
from fer_prep.errors import UsageError
from fer_prep.outputs import refuse_input
from fer_train.cli.app import app
from fer_train.cli.options import DATA, DeviceOption, chosen_run, require_data
from fer_train.metrics.registry import METRICS, NONE, Metric, missing_classes

if TYPE_CHECKING:
    import torch

RunArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A run folder (all its folds together) or the folder of one fold.",
        show_default="the newest in runs/",
    ),
]
WIDE = 120
SameNamesOption = Annotated[
    Literal["leave-out", "strangers"],
    typer.Option(
        help="People named like some that were trained on: leave them out, or judge them as the strangers that you "
        "know they are (people of sample data are named as real ones are)."
    ),
]


@app.command()
def evaluate(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Run folders (all their folds together), or the folder of one fold.",
            show_default="the newest in runs/",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="A dataset: an HDF5 file of fer-prep merge; repeatable.",
            show_default="global.h5, each of its people judged by folds that had not seen them",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for evaluation.json, predictions.csv and confusion.png, or for matrix.json and .csv.",
            show_default=False,
        ),
    ] = None,
    same_names: SameNamesOption = "leave-out",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Judge a trained run on people it was not trained on; several runs or files give a cross-dataset matrix.

    Examples:

        fer-train evaluate runs/demo --data bosphorus.h5

        fer-train evaluate runs/demo/fold-0 --data bosphorus.h5 --out cross/bosphorus

        fer-train evaluate runs/bu3dfe runs/bosphorus runs/cald3r --data global.h5 --out cross
    """
    runs = [chosen_run(run) for run in runs or [None]]
    require_data(*(data or [DATA]))
    if out is not None:
        refuse_input(out, inputs=runs)
    from fer_train.environment import choose_device

    chosen = choose_device(device)
    if data is None or len(runs) > 1 or len(data) > 1:
        if same_names != "leave-out":
            raise UsageError("--same-names takes one run and one --data, not a matrix of several")
        _evaluate_many(runs, data or [DATA], out=out, device=chosen, as_json=as_json)
    else:
        strangers_only = same_names == "leave-out"
        _evaluate_one(runs[0], data[0], out=out, device=chosen, strangers_only=strangers_only, as_json=as_json)
    if out is not None:
        note(f"written to {out}")


def _evaluate_one(
    run: Path, data: Path, *, out: Path | None, device: torch.device, strangers_only: bool, as_json: bool
) -> None:
    from fer_train.inference.evaluate import evaluate as judge

    evaluation = judge(run, data, device=device, strangers_only=strangers_only, progress=progress_bar)
    if out is not None:
        evaluation.write(out)
    report = evaluation.report
    if as_json:
        print_json(report)
        return
    rows = [
        (
            name,
            entry["samples"],
            entry["subjects"],
            sum(any(row) for row in entry["confusion"]),
            *(metric.text(entry[metric.key]) for metric in METRICS),
            f"{entry['majority']['overall_accuracy']:.1f} ({entry['majority']['class']})",
        )
        for name, entry in [*report["datasets"].items(), ("all", report)]
    ]
    columns = (
        "dataset",
        "samples",
        "people",
        "classes",
        *(metric.title for metric in METRICS),
        "always the same: overall %",
    )
    print_table(f"{run.name}, {report['models']} network(s)", columns, rows)
    for metric in METRICS:
        ends = metric.range_text(report[f"{metric.key}_ci95"])
        say(f"{metric.name}: 95 % interval over {report['subjects']} people {ends}")
    for text in missing_classes(np.array(report["confusion"]), report["classes"]):
        warn(text)
    if report["left_out"]:
        say(f"{report['left_out']} samples of other classes were left out")
    if report["left_out_trained_on"]:
        say(f"{report['left_out_trained_on']} samples of people that were trained on were left out")
    if report["judged_of_same_name"]:
        warn(f"{report['judged_of_same_name']} samples are of people named like some that were trained on")


def _evaluate_many(
    runs: list[Path], data: list[Path], *, out: Path | None, device: torch.device, as_json: bool
) -> None:
    from fer_train.analysis.cross_dataset import cross_matrix, write_matrix

    matrix = cross_matrix(runs, data, device=device, progress=progress_bar)
    if out is not None:
        write_matrix(matrix, out)
    if as_json:
        print_json(matrix)
        return
    datasets = sorted({name for row in matrix.values() for name in row})
    for metric in METRICS:
        rows = [(run, *(_cell(row.get(name), metric) for name in datasets)) for run, row in matrix.items()]
        print_table(f"{metric.title}: rows are runs, columns who is judged", ("run", *datasets), rows)
    say("* trained on this dataset: each person judged by the fold that had not seen them")


def _cell(cell: Mapping[str, Any] | None, metric: Metric) -> str:
    if cell is None:
        return NONE
    return f"{metric.text(cell[metric.key])}{' *' if cell['out_of_fold'] else ''} (n = {cell['samples']})"


@app.command()
def predict(
    run: RunArgument = None,
    source: Annotated[
        Path,
        typer.Argument(
            help="An HDF5 dataset, a folder (with rgb/ and depth/, or just pictures), one RGB picture, or a mesh (OBJ, "
            "PLY, STL, GLB)."
        ),
    ] = DATA,
    depth: Annotated[
        Path | None,
        typer.Option("--depth", help="The depth picture (16-bit PNG) of one RGB picture.", show_default=False),
    ] = None,
    prepared: Annotated[
        bool,
        typer.Option(
            "--prepared",
            help="The pictures are framed as fer-prep does it. Without this those outside of a prepared folder are "
            "taken as recorded: the face is found and framed as the training data was (takes fer-prep's packages).",
        ),
    ] = False,
    depth_unit: Annotated[float, typer.Option("--depth-unit", help="Millimetres per step of recorded depth.")] = 0.125,
    same_names: SameNamesOption = "leave-out",
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print them.")] = "table",
    max_rejected: MaxRejected = ALLOWED_REJECTED,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Print the probabilities of every expression: by one fold's network, or the mean of all folds of a run.

    Examples:

        fer-train predict runs/demo other.h5 --format csv > probabilities.csv

        fer-train predict runs/demo data/prepared/cald3r

        fer-train predict runs/demo face.png --depth face-depth.png

        fer-train predict runs/demo scan.obj

        fer-train predict runs/demo-rgb holiday.jpg --json
    """
    from fer_train.inference.pictures import DATASET_SUFFIXES

    run = chosen_run(run)
    if not source.exists():
        raise UsageError("no such file or folder", path=source)
    if source.suffix.lower() in DATASET_SUFFIXES:
        require_data(source)
    from fer_train.environment import choose_device
    from fer_train.inference.predict import FORMATS
    from fer_train.inference.predict import predict as answer
    from fer_train.inference.predictor import Predictor

    form = "json" if as_json else form
    predictor = Predictor.load(run, device=choose_device(device))
    answers = answer(
        predictor,
        source,
        depth=depth,
        prepared=prepared,
        depth_unit_mm=depth_unit,
        strangers_only=same_names == "leave-out",
        progress=progress_bar,
    )
    classes = predictor.classes
    if form == "table":
        rows = [
            (p.id, p.best(classes), *(f"{100 * value:.1f}" for value in p.probabilities)) for p in answers.predictions
        ]
        # whole names where there is room, else their beginnings: seven of them fit into 80 columns
        names = classes if console.width >= WIDE else tuple(name[:3] for name in classes)
        print_table("Predictions, probabilities in percent", ("id", "predicted", *names), rows)
    else:
        typer.echo(FORMATS[form](answers.predictions, classes), nl=False)
    for remark in (*answers.notes, *answers.rejected):
        warn(str(remark))
    unusable = len(answers.rejected)
    total = unusable + len(answers.predictions)
    if too_many_rejected("pictures", rejected=unusable, total=total, max_rejected=max_rejected):
        raise typer.Exit(EXIT_DATA_WRONG)
