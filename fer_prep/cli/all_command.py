"""fer-prep all: from raw trees to the dataset and its folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_prep.cli import app
from fer_prep.cli.prepare_commands import (
    ALIGN_LANDMARKS,
    ALIGN_THREADS,
    RENDER_LANDMARKS,
    RGBD_DATASETS,
    expected_trees,
)
from fer_prep.cli.prepare_options import (
    EngineChoice,
    Framing,
    Mask,
    MaxRejected,
    Preview,
    Scheduler,
    Size,
    Unfound,
    Workers,
    make_settings,
    prepare_dataset,
    run_options,
)
from fer_prep.cli.prepare_report import exit_code, show_summaries
from fer_prep.errors import UsageError
from fer_prep.program.console import console, warn
from fer_prep.program.workspace import GLOBAL_FILE, PREPARED, RAW, RAW_TREES
from fer_prep.program.workspace_settings import configured_trees


@app.command("all", rich_help_panel="Prepare")
def prepare_all(
    context: typer.Context,
    raw: Annotated[Path, typer.Option(help=f"The folder of the raw trees ({', '.join(RAW_TREES.values())}).")] = RAW,
    prepared: Annotated[Path, typer.Option(help="The folder of the prepared folders.")] = PREPARED,
    out: Annotated[Path, typer.Option(help="The dataset; its folds are written beside it.")] = GLOBAL_FILE,
    workers: Workers = None,
    engine: EngineChoice = "processes",
    scheduler: Scheduler = "",
    size: Size = 260,
    framing: Framing = "rotate",
    unfound: Unfound = "reject",
    mask: Mask = "none",
    preview: Preview = 0,
    max_rejected: MaxRejected = 0.05,
) -> None:
    """Every step for whichever raw trees are there: render or align, merge, and the default folds.

    [dim]fer-prep all[/]

    [dim]fer-prep all --raw ~/datasets --out faces.h5 --size 224 --framing eyes[/]
    """
    from fer_prep.cli.dataset_commands import merge

    places = {name: raw / folder for name, folder in RAW_TREES.items()} | (configured_trees() if raw == RAW else {})
    trees = {name: place for name, place in places.items() if place.is_dir()}
    if not trees:
        raise UsageError("none of the raw trees is here", path=raw, hint=expected_trees(raw, tuple(RAW_TREES)))
    summaries = []
    for name, tree in trees.items():
        aligned = name in RGBD_DATASETS
        chosen = ALIGN_LANDMARKS if aligned else RENDER_LANDMARKS
        summaries.append(
            prepare_dataset(
                name,
                root=tree,
                out=prepared / name,
                settings=make_settings(size=size, framing=framing, landmarks=chosen, unfound=unfound, mask=mask),
                options=run_options(
                    context,
                    workers=workers,
                    preview=preview,
                    engine=engine,
                    scheduler=scheduler,
                    threads=ALIGN_THREADS if aligned else 1,
                ),
            )
        )
    show_summaries(summaries)
    console.print()
    if filled := [summary.folder for summary in summaries if summary.rows]:
        merge(filled, out=out, size=size)
    else:
        warn("not one recording could be prepared: there is nothing to merge")
    if code := exit_code(summaries, max_rejected=max_rejected):
        raise typer.Exit(code)
