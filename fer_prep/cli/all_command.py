"""fer-prep all: from raw trees to the dataset and its folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fer_prep.cli.app import app
from fer_prep.cli.console import console, warn
from fer_prep.cli.prepare_commands import ALIGN_THREADS, expected_trees
from fer_prep.cli.prepare_options import (
    EngineChoice,
    Framing,
    Mask,
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
from fer_prep.cli.rejections import MaxRejected
from fer_prep.cli.workspace import GLOBAL_FILE, PREPARED, RAW, RAW_TREES
from fer_prep.cli.workspace_settings import configured_trees, options_of_step
from fer_prep.errors import UsageError

if TYPE_CHECKING:
    from fer_prep.prepare.prepare_tree import PrepareSummary

STEPS: Final = {"bu3dfe": "render-bu3dfe", "bosphorus": "render-bosphorus", "cald3r": "align", "mend3s": "align"}
"""Dataset → the command that prepares it."""
SHARED: Final = ("workers", "engine", "scheduler", "size", "framing", "unfound", "mask", "preview")
"""Options of ``all`` that are those of its prepare steps."""


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

    What fer.toml sets for a step holds here too; an option given to [b]all[/] comes before it.

    [dim]fer-prep all[/]

    [dim]fer-prep all --raw ~/datasets --out faces.h5 --size 224 --framing eyes[/]
    """
    from fer_prep.cli.dataset_commands import merge

    places = {name: raw / folder for name, folder in RAW_TREES.items()} | (configured_trees() if raw == RAW else {})
    trees = {name: place for name, place in places.items() if place.is_dir()}
    if not trees:
        raise UsageError("none of the raw trees is here", path=raw, hint=expected_trees(raw, tuple(RAW_TREES)))
    summaries = [_prepare(context, name, tree=tree, out=prepared / name) for name, tree in trees.items()]
    show_summaries(summaries)
    console.print()
    if filled := [summary.folder for summary in summaries if summary.rows]:
        # not --workers: there they are threads, and 0 means something else
        options = options_of_step(context, "merge", taken=("out", "size"))
        options["prepared"] = filled
        merge(**options)
    else:
        warn("not one recording could be prepared: there is nothing to merge")
    if code := exit_code(summaries, max_rejected=max_rejected):
        raise typer.Exit(code)


def _prepare(context: typer.Context, dataset: str, *, tree: Path, out: Path) -> PrepareSummary:
    """Prepare one dataset as its own command would here."""
    step = options_of_step(context, STEPS[dataset], taken=SHARED)
    source = {name: step[name] for name in ("rgb", "renderer", "policy") if name in step}
    if "incomplete" in step:
        source["require_landmarks"] = step["incomplete"] == "reject"
    if "depth_unit" in step:
        source |= {"depth_unit_mm": step["depth_unit"], "focal_px": step["focal_px"]}
    return prepare_dataset(
        dataset,
        root=tree,
        out=out,
        settings=make_settings(**{name: step[name] for name in ("size", "framing", "landmarks", "unfound", "mask")}),
        options=run_options(
            context,
            **{name: step[name] for name in ("workers", "preview", "engine", "scheduler")},
            threads=ALIGN_THREADS if STEPS[dataset] == "align" else 1,
        ),
        **source,
    )
