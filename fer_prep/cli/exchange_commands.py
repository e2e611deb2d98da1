"""fer-prep export: a dataset as other programs read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_prep.cli.app import app
from fer_prep.cli.console import console, progress_bar
from fer_prep.cli.workspace import GLOBAL_FILE


@app.command(rich_help_panel="Dataset")
def export(
    dataset: Annotated[Path, typer.Argument(help="The dataset.")] = GLOBAL_FILE,
    out: Annotated[Path, typer.Option("--out", "-o", help="An empty folder.")] = Path("export"),
    to: Annotated[
        Literal["folder", "webdataset"],
        typer.Option(help="Pictures in a folder for each class, or tar shards for WebDataset."),
    ] = "folder",
    folds: Annotated[Path | None, typer.Option(help="A fold manifest: export train and val apart.")] = None,
    fold: Annotated[int, typer.Option(help="Which fold of it, from 0.")] = 0,
    per_shard: Annotated[int, typer.Option(help="Samples in a tar shard.")] = 1000,
) -> None:
    """Write a dataset as other programs read it; RGB as PNG, depth as 16-bit PNG, nothing lost.

    [dim]fer-prep export global.h5 --out pictures[/]

    [dim]fer-prep export global.h5 --to webdataset --folds global.folds.json --fold 0 --out shards[/]
    """
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.exchange.export import export_folder, export_webdataset
    from fer_prep.folds.splits import read_folds

    with DatasetFile.open(dataset) as data:
        manifest = read_folds(folds, data=data) if folds is not None else None
        if to == "folder":
            count = export_folder(data, out, manifest=manifest, fold=fold, progress=progress_bar)
            console.print(f"{out}: {count} samples", soft_wrap=True)
        else:
            shards = export_webdataset(
                data, out, per_shard=per_shard, manifest=manifest, fold=fold, progress=progress_bar
            )
            console.print(f"{out}: {len(shards)} shards, {shards[0].name} to {shards[-1].name}", soft_wrap=True)
