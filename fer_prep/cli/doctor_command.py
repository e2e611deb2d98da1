"""``fer-prep doctor``: what works here, and how to mend what does not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from fer_prep.cli import app
from fer_prep.console import EXIT_DATA_WRONG, console


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(help="Where data would be written.", file_okay=False, exists=True)] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show which parts work on this machine, and the one line that mends each that does not.

    Exits with 1 when a required part is missing.

    Example: fer-prep doctor --json | jq '.[] | select(.ok == false)'
    """
    from fer_prep.doctor import examine

    findings = examine(folder=folder)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        table = Table("", "part", "found", "to mend it", show_edge=False, pad_edge=False)
        for finding in findings:
            mark = "[green]ok[/]" if finding.ok else "[red]missing[/]" if finding.required else "[yellow]optional[/]"
            table.add_row(mark, finding.part, finding.found, "" if finding.ok else finding.mend)
        console.print(table)
    if any(not finding.ok and finding.required for finding in findings):
        raise typer.Exit(EXIT_DATA_WRONG)
