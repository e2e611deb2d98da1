"""fer-prep all: from raw trees to the dataset and its folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fer_prep.cli.app import app
from fer_prep.cli.console import say, warn
from fer_prep.cli.dataset_commands import merge
from fer_prep.cli.options import Options
from fer_prep.cli.prepare_commands import align, expected_trees, render_bosphorus, render_bu3dfe
from fer_prep.cli.prepare_report import exit_if_too_many_rejected, show_summaries
from fer_prep.cli.prepare_run import RunOptions, prepare_dataset
from fer_prep.cli.workspace import GLOBAL_FILE, PREPARED, RAW, RAW_TREES, options_of_step, raw_places
from fer_prep.errors import UsageError
from fer_prep.prepare.settings import PrepareSettings

if TYPE_CHECKING:
    from fer_prep.prepare.prepare_tree import PrepareSummary

STEPS: Final = {
    "bu3dfe": ("render-bu3dfe", render_bu3dfe),
    "bosphorus": ("render-bosphorus", render_bosphorus),
    "cald3r": ("align", align),
    "mend3s": ("align", align),
}
"""Dataset → the command that prepares it."""


@app.command("all", rich_help_panel="Prepare")
@Options
def prepare_all(
    context: typer.Context,
    *,
    raw: Annotated[Path, typer.Option(help=f"The folder of the raw trees ({', '.join(RAW_TREES.values())}).")] = RAW,
    prepared: Annotated[Path, typer.Option(help="The folder of the prepared folders.")] = PREPARED,
    out: Annotated[Path, typer.Option(help="The dataset; its folds are written beside it.")] = GLOBAL_FILE,
    run: RunOptions,
    settings: PrepareSettings,
) -> None:
    """Every step for whichever raw trees are there: render or align, merge, and the default folds.

    What fer.toml sets for a step holds here too; an option given to [b]all[/] comes before it.

    [dim]fer-prep all[/]

    [dim]fer-prep all --raw ~/datasets --out faces.h5 --size 224 --framing eyes[/]
    """
    del settings  # every step takes its own, and those that were given here with it
    trees = {name: place for name, place in raw_places(raw).items() if place.is_dir()}
    if not trees:
        raise UsageError("none of the raw trees is here", path=raw, hint=expected_trees(raw, tuple(RAW_TREES)))
    summaries = [_prepare(context, name, tree=tree, out=prepared / name) for name, tree in trees.items()]
    show_summaries(summaries)
    say()
    if filled := [summary.folder for summary in summaries if summary.rows]:
        # not --workers: there they are threads, and 0 means something else
        merge(**options_of_step(context, "merge", without=("workers",)) | {"prepared": filled})
    else:
        warn("not one recording could be prepared: there is nothing to merge")
    exit_if_too_many_rejected(summaries, run=run)


def _prepare(context: typer.Context, dataset: str, *, tree: Path, out: Path) -> PrepareSummary:
    """Prepare one dataset as its own command would here."""
    name, command = STEPS[dataset]
    own = command.arguments(options_of_step(context, name))
    return prepare_dataset(dataset, root=tree, out=out, run=own["run"], settings=own["settings"], source=own["source"])
