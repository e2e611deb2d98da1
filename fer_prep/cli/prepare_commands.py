"""fer-prep render-bu3dfe, render-bosphorus and align: raw trees → prepared folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_prep.cli.app import app
from fer_prep.cli.completion import manifest_names
from fer_prep.cli.prepare_options import (
    EngineChoice,
    FocalPx,
    Framing,
    Incomplete,
    LandmarkChoice,
    Mask,
    PartChoice,
    Preview,
    Renderer,
    Scheduler,
    Size,
    Unfound,
    Workers,
    make_settings,
    prepare_dataset,
    run_options,
)
from fer_prep.cli.prepare_report import finish
from fer_prep.cli.rejections import MaxRejected
from fer_prep.cli.workspace import PREPARED, PREPARED_PLACES, RAW, RAW_PLACES, RAW_TREES
from fer_prep.cli.workspace_settings import configured_trees
from fer_prep.errors import UsageError

RGBD_DATASETS = ("cald3r", "mend3s")
RENDER_LANDMARKS = "dataset,mediapipe"
ALIGN_LANDMARKS = "mediapipe"
ALIGN_THREADS = 8
"""Samples side by side in a worker, where processors are to spare: some are read, warped or written while the detector
looks at another."""

RgbWay = Annotated[
    Literal["texture", "photo"],
    typer.Option(
        "--rgb",
        help="Colour from the mesh's own texture, or from the frontal photograph with a camera solved from landmarks.",
    ),
]
PolicyChoice = Annotated[
    str,
    typer.Option(
        "--policy",
        metavar="NAME|FILE",
        autocompletion=manifest_names("policies"),
        help="Which action unit counts as which emotion.",
    ),
]
DepthUnit = Annotated[float, typer.Option("--depth-unit", help="Millimetres per step of the recorded depth.")]


@app.command("render-bu3dfe", rich_help_panel="Prepare")
def render_bu3dfe(
    context: typer.Context,
    root: Annotated[Path, typer.Option(help="The BU-3DFE tree.")] = RAW_PLACES["bu3dfe"],
    out: Annotated[Path, typer.Option(help="The prepared folder.")] = PREPARED_PLACES["bu3dfe"],
    workers: Workers = None,
    engine: EngineChoice = "processes",
    scheduler: Scheduler = "",
    part: PartChoice = "",
    size: Size = 260,
    framing: Framing = "rotate",
    landmarks: LandmarkChoice = RENDER_LANDMARKS,
    unfound: Unfound = "reject",
    incomplete: Incomplete = "keep",
    mask: Mask = "none",
    rgb: RgbWay = "texture",
    renderer: Renderer = "auto",
    preview: Preview = 0,
    max_rejected: MaxRejected = 0.05,
) -> None:
    """BU-3DFE meshes → registered RGB + depth.

    Stopped at any moment, the same command continues, and what is up to date is not made again.

    [dim]fer-prep render-bu3dfe[/]

    [dim]fer-prep render-bu3dfe --root ~/BU3DFE --out prepared/bu3dfe --workers 8 --preview 12[/]

    [dim]fer-prep render-bu3dfe --rgb photo --framing eyes[/]

    [dim]fer-prep render-bu3dfe --engine dask --scheduler tcp://head:8786[/]
    """
    summary = prepare_dataset(
        "bu3dfe",
        root=root,
        out=out,
        settings=make_settings(size=size, framing=framing, landmarks=landmarks, unfound=unfound, mask=mask),
        options=run_options(context, workers=workers, preview=preview, engine=engine, scheduler=scheduler, part=part),
        require_landmarks=incomplete == "reject",
        rgb=rgb,
        renderer=renderer,
    )
    finish([summary], max_rejected=max_rejected)


@app.command("render-bosphorus", rich_help_panel="Prepare")
def render_bosphorus(
    context: typer.Context,
    root: Annotated[Path, typer.Option(help="The Bosphorus tree.")] = RAW_PLACES["bosphorus"],
    out: Annotated[Path, typer.Option(help="The prepared folder.")] = PREPARED_PLACES["bosphorus"],
    workers: Workers = None,
    engine: EngineChoice = "processes",
    scheduler: Scheduler = "",
    part: PartChoice = "",
    size: Size = 260,
    framing: Framing = "rotate",
    landmarks: LandmarkChoice = RENDER_LANDMARKS,
    unfound: Unfound = "reject",
    incomplete: Incomplete = "keep",
    mask: Mask = "none",
    policy: PolicyChoice = "thesis-3.8",
    renderer: Renderer = "auto",
    preview: Preview = 0,
    max_rejected: MaxRejected = 0.05,
) -> None:
    """Bosphorus point clouds → registered RGB + depth, action-unit scans mapped to categories.

    Poses, occlusions and scans without a category are left out, each with its reason in left_out.csv.

    [dim]fer-prep render-bosphorus[/]

    [dim]fer-prep render-bosphorus --root ~/BosphorusDB --policy my-policy.toml[/]
    """
    summary = prepare_dataset(
        "bosphorus",
        root=root,
        out=out,
        settings=make_settings(size=size, framing=framing, landmarks=landmarks, unfound=unfound, mask=mask),
        options=run_options(context, workers=workers, preview=preview, engine=engine, scheduler=scheduler, part=part),
        require_landmarks=incomplete == "reject",
        policy=policy,
        renderer=renderer,
    )
    finish([summary], max_rejected=max_rejected)


@app.command("align", rich_help_panel="Prepare")
def align(
    context: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option(help="One tree, or a folder that holds CalD3r and MenD3s.", show_default=str(RAW)),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The prepared folder of one tree.", show_default=f"{PREPARED}/<dataset>"),
    ] = None,
    dataset: Annotated[
        Literal["cald3r", "mend3s"] | None,
        typer.Option(help="Which dataset; else the folder's name says it."),
    ] = None,
    workers: Workers = None,
    engine: EngineChoice = "processes",
    scheduler: Scheduler = "",
    part: PartChoice = "",
    size: Size = 260,
    framing: Framing = "rotate",
    landmarks: LandmarkChoice = ALIGN_LANDMARKS,
    unfound: Unfound = "reject",
    mask: Mask = "none",
    depth_unit: DepthUnit = 0.125,
    focal_px: FocalPx = None,
    preview: Preview = 0,
    max_rejected: MaxRejected = 0.05,
) -> None:
    """CalD3r and MenD3s RGB-D pairs → landmark-aligned pairs, whichever of the two trees is there.

    [dim]fer-prep align[/]

    [dim]fer-prep align --root ~/MenD3s --out prepared/mend3s --unfound keep --preview 20[/]
    """
    trees = _rgbd_trees(root or RAW, dataset)
    if out is not None and len(trees) > 1:
        raise UsageError(f"--out names one folder, but {' and '.join(trees)} are there", hint="add --dataset NAME")
    settings = make_settings(size=size, framing=framing, landmarks=landmarks, unfound=unfound, mask=mask)
    options = run_options(
        context,
        workers=workers,
        preview=preview,
        engine=engine,
        scheduler=scheduler,
        part=part,
        threads=ALIGN_THREADS,
    )
    summaries = [
        prepare_dataset(
            name,
            root=tree,
            out=out or PREPARED_PLACES[name],
            settings=settings,
            options=options,
            depth_unit_mm=depth_unit,
            focal_px=focal_px,
        )
        for name, tree in trees.items()
    ]
    finish(summaries, max_rejected=max_rejected)


def _rgbd_trees(root: Path, dataset: str | None) -> dict[str, Path]:
    """Dataset → tree: the trees inside ``root``, else ``root`` itself; raises UsageError where none is meant."""
    wanted = RGBD_DATASETS if dataset is None else (dataset,)
    places = {name: root / RAW_TREES[name] for name in wanted} | (configured_trees() if root == RAW else {})
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
