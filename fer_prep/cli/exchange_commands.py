"""fer-prep commands between this and other formats: export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_prep.cli.app import app
from fer_prep.cli.completion import names
from fer_prep.cli.console import console, progress_bar
from fer_prep.cli.prepare_options import (
    EngineChoice,
    FocalPx,
    Framing,
    LandmarkChoice,
    Mask,
    PartChoice,
    Preview,
    Scheduler,
    Size,
    Unfound,
    Workers,
    make_settings,
    prepare_source,
    run_options,
)
from fer_prep.cli.rejections import MaxRejected
from fer_prep.cli.workspace import GLOBAL_FILE, PREPARED
from fer_prep.emotions import LABEL_SOURCES


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


@app.command("import", rich_help_panel="Prepare")
def import_pictures(
    context: typer.Context,
    root: Annotated[Path, typer.Argument(help="The folder of pictures.")],
    dataset: Annotated[str, typer.Option(help="A name for the dataset: lower case, digits, hyphens.")],
    table: Annotated[str, typer.Option(help="The CSV table, relative to the folder.")] = "samples.csv",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The prepared folder.", show_default=f"{PREPARED}/<dataset>")
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            help="A class set (seven, eight …) or names with commas between, in label order.",
            show_default="the seven, or what else the table has",
        ),
    ] = "",
    depth_unit: Annotated[float, typer.Option(help="Millimetres per step of the depth pictures.")] = 1.0,
    focal_px: FocalPx = None,
    label_source: Annotated[
        str,
        typer.Option(autocompletion=names(*LABEL_SOURCES), help="For lines of the table that do not say it."),
    ] = "posed",
    workers: Workers = None,
    engine: EngineChoice = "processes",
    scheduler: Scheduler = "",
    part: PartChoice = "",
    size: Size = 260,
    framing: Framing = "rotate",
    landmarks: LandmarkChoice = "mediapipe",
    unfound: Unfound = "reject",
    mask: Mask = "none",
    preview: Preview = 0,
    max_rejected: MaxRejected = 0.05,
) -> None:
    """Pictures with a CSV table → a prepared folder; RGB, 16-bit depth or both. A new dataset needs no code.

    The table has the columns rgb or depth or both, emotion, subject, and perhaps id, label_source, intensity,
    action_unit, gender, ethnicity, clip, frame, soft_<class>.

    [dim]fer-prep import my-pictures --dataset mylab[/]

    [dim]fer-prep import my-pictures --dataset mylab --depth-unit 0.125 --framing none --landmarks none[/]
    """
    from fer_prep.cli.prepare_report import finish
    from fer_prep.exchange.import_folder import TableSource

    summary = prepare_source(
        TableSource(
            dataset=dataset,
            table=table,
            classes=classes,
            depth_unit_mm=depth_unit,
            focal_px=focal_px,
            label_source=label_source,
        ),
        root=root,
        out=out or PREPARED / dataset,
        settings=make_settings(size=size, framing=framing, landmarks=landmarks, unfound=unfound, mask=mask),
        options=run_options(context, workers=workers, preview=preview, engine=engine, scheduler=scheduler, part=part),
    )
    finish([summary], max_rejected=max_rejected)
