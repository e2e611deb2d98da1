"""fer-prep render-bu3dfe, render-bosphorus, align, prepare and import: recordings → prepared folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from fer_prep.cli.app import app
from fer_prep.cli.options import Options, names_of
from fer_prep.cli.prepare_report import finish
from fer_prep.cli.prepare_run import StepOptions, prepare_dataset, prepare_source
from fer_prep.cli.workspace import PREPARED, RAW, RAW_TREES, raw_places
from fer_prep.errors import UsageError
from fer_prep.prepare.settings import FOUND, PrepareSettings
from fer_prep.sources import source_names
from fer_prep.sources.options import BosphorusOptions, Bu3dfeOptions, RgbdOptions, TableOptions

RGBD_DATASETS: Final = ("cald3r", "mend3s")
NO_LANDMARK_FILES: Final = PrepareSettings(landmarks=FOUND)
"""The defaults where recordings come without landmarks."""

OutOption = Annotated[Path, typer.Option("--out", "-o", help="The prepared folder.")]
OutByName = Annotated[
    Path | None, typer.Option("--out", "-o", help="The prepared folder.", show_default=f"{PREPARED}/<dataset>")
]


@app.command("render-bu3dfe", rich_help_panel="Prepare")
@Options
def render_bu3dfe(
    *,
    root: Annotated[Path, typer.Option(help="The BU-3DFE tree.")] = RAW / "BU3DFE",
    out: OutOption = PREPARED / "bu3dfe",
    run: StepOptions,
    settings: PrepareSettings,
    source: Bu3dfeOptions,
) -> None:
    """BU-3DFE meshes → registered RGB + depth.

    Stopped at any moment, the same command continues, and what is up to date is not made again.

    [dim]fer-prep render-bu3dfe[/]

    [dim]fer-prep render-bu3dfe --root ~/BU3DFE --out prepared/bu3dfe --workers 8 --preview 12[/]

    [dim]fer-prep render-bu3dfe --rgb photo --framing eyes[/]

    [dim]fer-prep render-bu3dfe --engine dask --scheduler tcp://head:8786[/]
    """
    finish(prepare_dataset("bu3dfe", root=root, out=out, run=run, settings=settings, source=source), run=run)


@app.command("render-bosphorus", rich_help_panel="Prepare")
@Options
def render_bosphorus(
    *,
    root: Annotated[Path, typer.Option(help="The Bosphorus tree.")] = RAW / "BosphorusDB",
    out: OutOption = PREPARED / "bosphorus",
    run: StepOptions,
    settings: PrepareSettings,
    source: BosphorusOptions,
) -> None:
    """Bosphorus point clouds → registered RGB + depth, action-unit scans mapped to categories.

    Poses, occlusions and scans without a category are left out, each with its reason in left_out.csv.

    [dim]fer-prep render-bosphorus[/]

    [dim]fer-prep render-bosphorus --root ~/BosphorusDB --policy my-policy.toml[/]
    """
    finish(prepare_dataset("bosphorus", root=root, out=out, run=run, settings=settings, source=source), run=run)


@app.command("align", rich_help_panel="Prepare")
@Options
def align(
    *,
    root: Annotated[
        Path | None,
        typer.Option(help="One tree, or a folder that holds CalD3r and MenD3s.", show_default=str(RAW)),
    ] = None,
    out: OutByName = None,
    dataset: Annotated[
        Literal["cald3r", "mend3s"] | None,
        typer.Option(help="Which dataset; else the folder's name says it.", show_default="whichever is there"),
    ] = None,
    run: StepOptions,
    settings: PrepareSettings = NO_LANDMARK_FILES,
    source: RgbdOptions,
) -> None:
    """CalD3r and MenD3s RGB-D pairs → landmark-aligned pairs, whichever of the two trees is there.

    [dim]fer-prep align[/]

    [dim]fer-prep align --root ~/MenD3s --out prepared/mend3s --unfound keep --preview 20[/]
    """
    trees = _rgbd_trees(root or RAW, dataset)
    if out is not None and len(trees) > 1:
        raise UsageError(f"--out names one folder, but {' and '.join(trees)} are there", hint="add --dataset NAME")
    summaries = [
        prepare_dataset(name, root=tree, out=out or PREPARED / name, run=run, settings=settings, source=source)
        for name, tree in trees.items()
    ]
    finish(*summaries, run=run)


def _rgbd_trees(root: Path, dataset: str | None) -> dict[str, Path]:
    """Dataset → tree: the trees inside ``root``, else ``root`` itself; raises UsageError where none is meant."""
    wanted = RGBD_DATASETS if dataset is None else (dataset,)
    places = raw_places(root)
    inside = {name: places[name] for name in wanted if places[name].is_dir()}
    if inside:
        return inside
    named = [name for name in wanted if dataset is not None or name in root.resolve().name.lower()]
    if root == RAW or not root.is_dir() or not named:
        titles = " or ".join(RAW_TREES[name] for name in wanted)
        one = "" if root == RAW else "; if it is one of them, add --dataset"
        raise UsageError(f"no {titles} tree is here", path=root, hint=expected_trees(root, wanted) + one)
    return {named[0]: root}


def expected_trees(root: Path, datasets: tuple[str, ...]) -> str:
    """The hint of a command that found no tree."""
    places = ", ".join(str(root / RAW_TREES[name]) for name in datasets)
    return f"expected {places}; try fer-prep sample-data --out {RAW}, or give the place of a tree you have"


@app.command("prepare", rich_help_panel="Prepare")
@Options
def prepare_any(
    *,
    dataset: Annotated[
        str,
        typer.Argument(
            autocompletion=names_of(source_names), help="The source's name; an unknown one lists the known."
        ),
    ],
    root: Annotated[Path | None, typer.Option(help="The raw tree.", show_default=f"{RAW}/<dataset>")] = None,
    out: OutByName = None,
    run: StepOptions,
    settings: PrepareSettings,
) -> None:
    """Recordings of a source that has no command of its own, such as one from another package → a prepared folder.

    A package adds a source by an entry point of the group fer_prep.sources.

    [dim]fer-prep prepare mylab --root ~/mylab --preview 6[/]
    """
    root, out = root or RAW / dataset, out or PREPARED / dataset
    finish(prepare_dataset(dataset, root=root, out=out, run=run, settings=settings), run=run)


@app.command("import", rich_help_panel="Prepare")
@Options
def import_pictures(
    *,
    root: Annotated[Path, typer.Argument(help="The folder of pictures.")],
    source: TableOptions,
    out: OutByName = None,
    run: StepOptions,
    settings: PrepareSettings = NO_LANDMARK_FILES,
) -> None:
    """Pictures with a CSV table → a prepared folder; RGB, 16-bit depth or both. A new dataset needs no code.

    The table has the columns rgb or depth or both, emotion, subject, and perhaps id, label_source, intensity,
    action_unit, gender, ethnicity, clip, frame, yaw_degrees, pitch_degrees, soft_<class>.

    [dim]fer-prep import my-pictures --dataset mylab[/]

    [dim]fer-prep import my-pictures --dataset mylab --depth-unit 0.125 --framing none --landmarks none[/]
    """
    from fer_prep.exchange.import_folder import TableSource

    table = TableSource(**vars(source))
    out = out or PREPARED / table.dataset
    finish(prepare_source(table, root=root, out=out, run=run, settings=settings), run=run)
