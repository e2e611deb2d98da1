"""``fer-train doctor``: what works here, and how to mend what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_train.cli.app import app


@app.command(rich_help_panel="Workspace")
def doctor(
    folder: Annotated[Path, typer.Argument(help="Where runs would be written.", file_okay=False, exists=True)] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show which parts work on this machine, the GPU among them, and the one line that mends each that does not.

    Exit code 1 when a required part does not work.

    Examples:

        fer-train doctor

        fer-train doctor /scratch/runs --json
    """
    from fer_prep.cli.diagnosis import show
    from fer_train.doctor import examine

    show(examine(folder=folder), as_json=as_json)
