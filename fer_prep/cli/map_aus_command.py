"""The fer-prep command map-aus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_prep.cli.app import app
from fer_prep.cli.console import console, print_json, print_table, warn
from fer_prep.cli.options import JsonOption, manifest_names


@app.command("map-aus", rich_help_panel="Prepare")
def map_aus(
    root: Annotated[Path, typer.Option(help="The Bosphorus tree.")] = Path("data/raw/BosphorusDB"),
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            autocompletion=manifest_names("policies"),
            help="A policy of manifests/policies, or a TOML file of that kind.",
        ),
    ] = "thesis-3.8",
    out: Annotated[Path, typer.Option(help="The table to write, one row a scan.")] = Path("action-units.csv"),
    show: Annotated[int, typer.Option(min=0, help="How many scans to print; the table that is written has all.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Which Bosphorus scan gets which category, by which rule, and why the others get none.

    [dim]fer-prep map-aus --policy ck-emfacs-strict[/]
    """
    from fer_prep.inspection.map_action_units import map_action_units, write_table

    mapped = map_action_units(root, policy=policy)
    for text in mapped.warnings:
        warn(text)
    write_table(mapped.scans, path=out)
    if as_json:
        print_json(mapped)
        return
    console.print(f"{mapped.policy}: {mapped.description}\n", soft_wrap=True)
    if show:
        rows = [(scan.scan, scan.category or "–", scan.strength, scan.reason) for scan in mapped.scans[:show]]
        print_table("scans", ["scan", "category", "strength", "reason"], rows)
        if len(mapped.scans) > show:
            console.print(f"… and {len(mapped.scans) - show} more in {out}", soft_wrap=True)
        console.print()
    print_table("categories", ["category", "posed", "strong", "weak", "all"], mapped.counts())
    if reasons := mapped.left_out():
        console.print()
        print_table("left out", ["reason", "scans"], reasons)
    incomplete = [scan for scan in mapped.scans if scan.category and scan.usable != "yes"]
    if incomplete:
        console.print(f"\n{len(incomplete)} of the scans with a category lack files, such as {incomplete[0].scan}")
    console.print(f"\n{len(mapped.scans)} scans: {out}", soft_wrap=True)
