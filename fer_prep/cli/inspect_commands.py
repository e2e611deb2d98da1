"""fer-prep commands that look at data: check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_prep.cli import app
from fer_prep.console import EXIT_DATA_WRONG, console, print_table, progress_bar


@app.command(rich_help_panel="Dataset")
def check(
    path: Annotated[Path, typer.Argument(help="A raw tree, a prepared folder, an HDF5 dataset or a fold manifest.")],
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte; look for near-duplicate pictures.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="The dataset of a fold manifest.", show_default="the one beside it"),
    ] = None,
    show: Annotated[int, typer.Option(help="How many files or ids to name for each finding.")] = 5,
) -> None:
    """Complete? Intact? Free of leaks? Exit code 1 when something is wrong.

    [dim]fer-prep check data/raw/BU3DFE[/]

    [dim]fer-prep check global.h5 --deep[/]
    """
    from fer_prep.check import check_path

    report = check_path(path, deep=deep, data=data, progress=progress_bar)
    rows = []
    for finding in report.findings:
        named = ", ".join(finding.items[:show])
        more = f" … and {len(finding.items) - show} more" if len(finding.items) > show else ""
        rows.append((finding.severity, finding.what, finding.text + (f": {named}{more}" if named else "")))
    print_table(f"{report.kind} {report.path}", ["", "looked at", "found"], rows)
    errors = sum(finding.severity == "error" for finding in report.findings)
    warnings = sum(finding.severity == "warning" for finding in report.findings)
    console.print(f"{errors} errors, {warnings} warnings")
    if report.failed:
        raise typer.Exit(EXIT_DATA_WRONG)
