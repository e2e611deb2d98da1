"""The fer-prep command sample-data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_prep.cli.app import app
from fer_prep.cli.console import console, print_table, progress_bar, say


def _levels(text: str) -> tuple[int, ...]:
    parts = text.replace(",", " ").split()
    if not parts or not all(part in {"1", "2", "3", "4"} for part in parts):
        raise typer.BadParameter(f"expected levels 1 to 4 with commas between, such as 3,4; found {text!r}")
    return tuple(int(part) for part in parts)


@app.command("sample-data")
def sample_data(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the four trees, new or empty; with --registered, the dataset to write.",
            show_default="data/raw; with --registered data/generated.h5",
        ),
    ] = None,
    subjects: Annotated[int, typer.Option("--subjects", help="People in each dataset.", min=1)] = 6,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, other people.", min=0)] = 0,
    intensities: Annotated[
        str, typer.Option("--intensities", help="Levels of the BU-3DFE expressions, 1 (weak) to 4 (strong).")
    ] = "3,4",
    registered: Annotated[
        bool,
        typer.Option(
            "--registered",
            help="No native files: people of a wider variety, none of whom stands in the trees, straight to a dataset "
            "of registered pictures, for a network to be pretrained on.",
        ),
    ] = False,
    size: Annotated[int, typer.Option("--size", help="Pixels a side of the pictures of --registered.")] = 128,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes; default: one a core. Changes nothing but the time.", min=1),
    ] = None,
) -> None:
    """Write small synthetic datasets in the native on-disk formats, to try everything without a licence.

    BU3DFE, BosphorusDB, CalD3r and MenD3s, each with people of its own and all seven emotions; the people are
    computed, not photographed. [bold]truth.csv[/] beside them tells eye positions, head roll, emotion and action units.
    The same options give the same bytes.

    Examples:

      fer-prep sample-data --out data/raw

      fer-prep sample-data --out data/raw --subjects 20 --seed 7

      fer-prep sample-data --out data/raw --intensities 1,2,3,4

      fer-prep sample-data --registered --subjects 400 --out data/generated.h5
    """
    if registered:
        from fer_prep.sample_data.registered import write_registered

        out = out or Path("data/generated.h5")
        count = write_registered(out, subjects=subjects, seed=seed, size=size, workers=workers, progress=progress_bar)
        say(f"{out}: {count} pictures of {subjects} people")
        return
    from fer_prep.sample_data import write_sample_data

    out = out or Path("data/raw")
    summary = write_sample_data(
        out, subjects=subjects, seed=seed, intensities=_levels(intensities), workers=workers, progress=progress_bar
    )
    rows = [(name, summary.subjects[name], count) for name, count in summary.samples.items()]
    print_table(f"Sample data in {summary.out}", ("dataset", "people", "recordings"), rows)
    if summary.already_there:
        say("it was there already, complete; nothing was written")
    else:
        console.print("next: [bold]fer-prep all[/]")
