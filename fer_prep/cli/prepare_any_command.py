"""fer-prep prepare: the recordings of any source, also of one from another package → a prepared folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_prep.cli.app import app
from fer_prep.cli.completion import names_of
from fer_prep.cli.prepare_options import (
    EngineChoice,
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
    prepare_dataset,
    run_options,
)
from fer_prep.cli.prepare_report import finish
from fer_prep.cli.rejections import MaxRejected
from fer_prep.cli.workspace import PREPARED, RAW


def _source_names() -> tuple[str, ...]:
    from fer_prep.sources import source_names

    return source_names()


@app.command("prepare", rich_help_panel="Prepare")
def prepare_any(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Argument(
            autocompletion=names_of(_source_names), help="The source's name; an unknown one lists the known."
        ),
    ],
    root: Annotated[Path | None, typer.Option(help="The raw tree.", show_default=f"{RAW}/<dataset>")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The prepared folder.", show_default=f"{PREPARED}/<dataset>")
    ] = None,
    workers: Workers = None,
    engine: EngineChoice = "processes",
    scheduler: Scheduler = "",
    part: PartChoice = "",
    size: Size = 260,
    framing: Framing = "rotate",
    landmarks: LandmarkChoice = "dataset,mediapipe",
    unfound: Unfound = "reject",
    mask: Mask = "none",
    preview: Preview = 0,
    max_rejected: MaxRejected = 0.05,
) -> None:
    """Recordings of a source that has no command of its own, such as one from another package → a prepared folder.

    A package adds a source by an entry point of the group fer_prep.sources.

    [dim]fer-prep prepare mylab --root ~/mylab --preview 6[/]
    """
    summary = prepare_dataset(
        dataset,
        root=root or RAW / dataset,
        out=out or PREPARED / dataset,
        settings=make_settings(size=size, framing=framing, landmarks=landmarks, unfound=unfound, mask=mask),
        options=run_options(context, workers=workers, preview=preview, engine=engine, scheduler=scheduler, part=part),
    )
    finish([summary], max_rejected=max_rejected)
