"""``fer-prep doctor``: what works here, and how to mend what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_prep.cli.app import app


@app.command(rich_help_panel="Workspace")
def doctor(
    folder: Annotated[Path, typer.Argument(help="Where data would be written.", file_okay=False, exists=True)] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show which parts work on this machine, and the one line that mends each that does not.

    Exit code 1 when a required part does not work.

    [dim]fer-prep doctor[/]

    [dim]fer-prep doctor /data --json | jq '.[] | select(.ok == false)'[/]
    """
    from fer_prep.cli.diagnosis import show
    from fer_prep.cli.doctor import examine

    show(examine(folder=folder), as_json=as_json)
