"""``fer-train compare`` and the other commands that study trained runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from fer_prep.cli.console import print_json, print_table, progress_bar, say, warn
from fer_prep.cli.options import JsonOption, names_of
from fer_prep.errors import UsageError
from fer_prep.outputs import PNG, check_output, refuse_input
from fer_train.cli.app import app
from fer_train.cli.options import DATA, DeviceOption, RunDataOption, chosen_run, require_data
from fer_train.metrics.registry import METRICS

if TYPE_CHECKING:
    from fer_train.analysis.compare import Comparison
    from fer_train.analysis.embed import Embedding
    from fer_train.inference.trained_run import TrainedRun

STUDIES: Final = "studies"
"""Folder in a run for what is asked of it afterwards; ``figures`` is the report's own."""
RunArgument = Annotated[Path | None, typer.Argument(help="A finished run folder.", show_default="the newest in runs/")]


@app.command()
def compare(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Two or more finished runs; the others are held against the first.",
            show_default="all in runs/, the oldest first",
        ),
    ] = None,
    data: RunDataOption = DATA,
    rounds: Annotated[int, typer.Option(min=100, help="Random draws of the interval and of the test.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seeds the draws.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare runs on the same dataset: differences with 95 % intervals and p-values, both over people.

    Examples:

        fer-train compare runs/rgb runs/rgbd

        fer-train compare runs/ce runs/center runs/island --data cald3r.h5 --json > losses.json
    """
    from fer_train.analysis.compare import compare_runs
    from fer_train.training.run_folder import finished_runs

    comparison = compare_runs(runs or finished_runs(), data, rounds=rounds, seed=seed)
    if as_json:
        print_json(comparison.to_dict())
        return
    _print_comparison(comparison)


def _print_comparison(comparison: Comparison) -> None:
    rows = [
        (run.name, run.protocol, *(metric.text(run.scores[metric.key]) for metric in METRICS))
        for run in comparison.runs
    ]
    title = f"{comparison.samples} samples of {comparison.people} people that every run judged"
    print_table(title, ("run", "protocol", *(metric.title for metric in METRICS)), rows)
    say()
    first, *others = comparison.runs
    differences = [
        (
            run.name,
            metric.title,
            metric.text(found.difference, sign=True),
            metric.range_text(found.ci95, sign=True),
            f"{found.p:.4f}",
            f"{found.p_adjusted:.4f}",
        )
        for run in others
        for metric in METRICS
        for found in (run.versus_first[metric.key],)
    ]
    columns = ("run", "metric", "difference", "95 % interval", "p", "p (Holm)")
    print_table(f"Against {first.name}", columns, differences)
    if comparison.left_out:
        say(f"{comparison.left_out} samples that only some of the runs judged were left out")
    for note in comparison.notes:
        say(note)


@app.command()
def export(
    run: RunArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A new folder for model.safetensors, config.json, export.json.",
            show_default="models/<run>-fold-K",
        ),
    ] = None,
    fold: Annotated[int, typer.Option(min=0, help="Which fold's network, counted from 0.")] = 0,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx too, and check it against PyTorch.")] = False,
) -> None:
    """Export one fold's network: safetensors and JSON, and on request an ONNX graph that needs nothing of this project.

    Examples:

        fer-train export runs/thesis --fold 2 --out models/thesis

        fer-train export runs/thesis --out models/thesis-onnx --onnx
    """
    run = chosen_run(run)
    from fer_train.inference.export import export_fold

    out = out or Path("models") / f"{run.resolve().name}-fold-{fold}"
    if graph := export_fold(run, out, fold=fold, onnx=onnx)["onnx"]:
        apart = graph["largest_difference_to_pytorch"]
        say(f"ONNX Runtime and PyTorch agree to {apart:.1e} in every probability")
        if graph["leaves_out"]:
            warn(f"the graph answers with the network alone: without {' and '.join(graph['leaves_out'])}")
    say(f"written to {out}")


@app.command()
def explain(
    run: RunArgument = None,
    data: RunDataOption = DATA,
    samples: Annotated[
        list[str] | None,
        typer.Option("--sample", help="Id of a sample, as in predictions.csv; repeatable.", show_default=False),
    ] = None,
    per_class: Annotated[int, typer.Option(min=1, help="Samples of every class, the most confident first.")] = 2,
    pick: Annotated[Literal["right", "wrong"], typer.Option(help="Which answers to explain.")] = "right",
    target: Annotated[
        Literal["predicted", "truth"], typer.Option(help="The class whose evidence is shown.")
    ] = "predicted",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The PNG.", show_default="studies/grad-cam-<pick>.png in the run"),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw Grad-CAM maps of every input: where in picture and depth the answers come from.

    Examples:

        fer-train explain runs/thesis

        fer-train explain runs/thesis --pick wrong --target truth --per-class 4

        fer-train explain runs/thesis --sample bu3dfe/F0001_AN01WH --out anger.png
    """
    if out is not None:
        check_output(out, what="a PNG picture", begins=PNG, inputs=[data])
    trained = _open(run, data, device=device)
    from fer_train.analysis.explain import contact_sheet
    from fer_train.analysis.explain import explain as make_maps
    from fer_train.metrics.plots import save_figure

    explained = make_maps(trained, samples=samples or (), per_class=per_class, pick=pick, target=target)
    path = out or trained.run.path / STUDIES / f"grad-cam-{pick}.png"
    save_figure(contact_sheet(explained), path)
    say(f"{len(explained)} samples: {path}")


@app.command()
def embed(
    run: RunArgument = None,
    data: RunDataOption = DATA,
    fold: Annotated[
        list[int] | None,
        typer.Option(help="Folds to draw, counted from 0; repeatable.", show_default="all"),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            help="Epochs to draw, such as 1,5,10: the fold is trained once more to look in on the way.",
            show_default="the network that the run kept",
        ),
    ] = None,
    perplexity: Annotated[float, typer.Option(min=2, help="t-SNE: about how many neighbours a point has.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Seeds t-SNE.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of embedding.png, .csv and .json.", show_default="studies/ of the run"),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw the features of out-of-fold samples by t-SNE, and say in numbers how far the classes are apart.

    Examples:

        fer-train embed runs/thesis

        fer-train embed runs/island --fold 0 --epochs 1,5,10 --out figure-3.13
    """
    if out is not None:
        refuse_input(out, inputs=[chosen_run(run)])
    wanted = _whole_numbers(epochs, option="--epochs") if epochs else []
    trained = _open(run, data, device=device)
    from fer_train.analysis.embed import embed as reduce
    from fer_train.analysis.embed import embedding_figure, features_at_epochs, kept_features, write_embeddings
    from fer_train.metrics.plots import save_figure

    folds = fold or trained.fold_numbers
    embeddings: list[Embedding] = []
    with progress_bar("embedding", total=len(folds), unit="folds") as advance:
        for index in folds:
            found = features_at_epochs(trained, index, epochs=wanted) if wanted else [kept_features(trained, index)]
            embeddings += [reduce(features, perplexity=perplexity, seed=seed) for features in found]
            advance(1)
    folder = out or trained.run.path / STUDIES
    write_embeddings(embeddings, folder, classes=trained.data.classes)
    save_figure(embedding_figure(embeddings, trained.data.classes), folder / "embedding.png")
    rows = [
        (e.of.fold, e.of.epoch or "kept", len(e.of.ids), f"{e.silhouette:.3f}", f"{e.separation:.3f}")
        for e in embeddings
    ]
    print_table("Classes in the feature space", ("fold", "epoch", "samples", "silhouette", "between/within"), rows)
    say(f"written to {folder}")


@app.command()
def figure(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=names_of(("3.6", "3.7", "3.8", *(f"3.{n}" for n in range(9, 15)), "3.16", "3.17")),
            help="Its number.",
            show_default="list them",
        ),
    ] = "",
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="A finished run; several for 3.13.", show_default="the newest in runs/"),
    ] = None,
    data: RunDataOption = DATA,
    out: Annotated[
        Path | None, typer.Option("--out", help="The PNG.", show_default="studies/figure-<number>.png in the run")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw one of the thesis's figures of networks and results; fer-prep figure draws those of data.

    Examples:

        fer-train figure

        fer-train figure 3.9 runs/thesis

        fer-train figure 3.13 runs/figure-3.13/cross-entropy runs/figure-3.13/center runs/figure-3.13/island
    """
    if out is not None:
        check_output(out, what="a PNG picture", begins=PNG, inputs=[data])
    opened = [_open(run, data, device=device) for run in runs or ([None] if name else [])]
    from fer_train.metrics.plots import save_figure
    from fer_train.report.thesis_figures import FIGURES, draw_figure

    if not name:
        print_table("Figures of networks and results", ("figure", "shows"), [(n, f.what) for n, f in FIGURES.items()])
        return
    path = out or opened[0].run.path / STUDIES / f"figure-{name}.png"
    save_figure(draw_figure(name, opened), path)
    say(f"written to {path}")


def _open(run: Path | None, data: Path, *, device: str) -> TrainedRun:
    """A finished run and its data; what is not there is said before PyTorch is loaded."""
    from fer_train.training.run_folder import RunFolder

    run = chosen_run(run)
    RunFolder.open(run).read_summary()
    require_data(data)
    from fer_train.environment import choose_device
    from fer_train.inference.trained_run import TrainedRun

    return TrainedRun.open(run, data, device=choose_device(device), progress=progress_bar)


def _whole_numbers(text: str, *, option: str) -> list[int]:
    """``1,5,10`` as numbers."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r}: expected whole numbers with commas, such as 1,5,10") from None
