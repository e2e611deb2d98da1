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
    console.print(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}")
    if report.failed:
        raise typer.Exit(EXIT_DATA_WRONG)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@app.command(rich_help_panel="Dataset")
def stats(
    dataset: Annotated[Path, typer.Argument(help="The dataset.")] = Path("global.h5"),
    csv: Annotated[Path | None, typer.Option(help="Also write all counts as CSV here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Also draw the class distributions here.")] = None,
    show: Annotated[int, typer.Option(help="How many outliers to name.")] = 10,
) -> None:
    """Count a dataset by class, dataset, subject, gender, intensity and label source; measure its geometry.

    [dim]fer-prep stats global.h5 --csv counts.csv --png classes.png[/]
    """
    from fer_prep import statistics
    from fer_prep.atomic_files import write_atomically
    from fer_prep.global_file import GlobalFile

    with GlobalFile.open(dataset) as data:
        for column, title in _COUNTED_BY:
            names, counts = statistics.crosstab(data, column)
            told_by_dataset = column == "corpus" and names == statistics.crosstab(data, "dataset")[0]
            if column == "dataset" or (len(names) > 1 and not told_by_dataset):
                _print_counts(title, names, counts)
        columns = ["dataset", "subjects", "female", "male", "unknown", "samples", "each: fewest / median / most"]
        print_table("subjects", columns, statistics.subjects_table(data))
        found = statistics.measures(data, progress=progress_bar)
        columns = ["measure", "dataset", "5 %", "median", "95 %", "samples"]
        print_table("measures", columns, statistics.measures_table(data, found))
        odd = statistics.outliers(data, found)
        if odd:
            print_table(f"outliers: {len(odd)}", ["sample", "measure", "value", "its dataset's median"], odd[:show])
        if csv is not None:
            write_atomically(csv, content=statistics.counts_csv(data))
        if png is not None:
            write_atomically(png, content=statistics.draw_distributions(data))


_COUNTED_BY = (
    ("dataset", "samples by class and dataset"),
    ("corpus", "by corpus (CalD3r and MenD3s are recorded alike)"),
    ("label_source", "by label source"),
    ("intensity", "by intensity (0: the dataset has none)"),
    ("gender", "by gender"),
    ("ethnicity", "by ethnicity"),
)


def _print_counts(title: str, names: list[str], counts: dict[str, list[int]]) -> None:
    totals = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows = [[emotion, *numbers, sum(numbers)] for emotion, numbers in [*counts.items(), ("all", totals)]]
    print_table(title, ["class", *(name or "unknown" for name in names), "all"], rows)


@app.command(rich_help_panel="Dataset")
def browse(
    dataset: Annotated[Path, typer.Argument(help="The dataset.")] = Path("global.h5"),
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page.", show_default="<dataset>.html")] = None,
    folds: Annotated[
        Path | None, typer.Option(help="A fold manifest to filter by.", show_default="the one beside it")
    ] = None,
    thumbnail: Annotated[int, typer.Option(help="Pixels of a thumbnail; 0: by the number of samples.")] = 0,
) -> None:
    """Make one web page with pictures of every sample: filters, landmarks, provenance; works from a file.

    [dim]fer-prep browse global.h5[/]  then open global.html
    """
    from fer_prep.browse import write_page
    from fer_prep.default_folds import folds_path
    from fer_prep.folds import read_folds
    from fer_prep.global_file import GlobalFile

    page = out or dataset.with_suffix(".html")
    with GlobalFile.open(dataset) as data:
        beside = folds_path(dataset)
        manifest = (
            read_folds(folds, data=data) if folds else read_folds(beside, data=data) if beside.is_file() else None
        )
        written = write_page(data, page, manifest=manifest, thumbnail=thumbnail, progress=progress_bar)
    console.print(f"{page}: {written / 1e6:.1f} MB; open it in a browser", soft_wrap=True)
