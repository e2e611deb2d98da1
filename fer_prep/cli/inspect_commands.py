"""fer-prep check, stats, browse and map-aus: commands that look at data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fer_prep.atomic_files import write_atomically
from fer_prep.cli.app import app
from fer_prep.cli.console import EXIT_DATA_WRONG, print_json, print_table, progress_bar, say, warn
from fer_prep.cli.options import JsonOption, Options, names_of
from fer_prep.cli.workspace import GLOBAL_FILE, RAW, raw_places
from fer_prep.options import option
from fer_prep.outputs import PNG, check_output
from fer_prep.resources import manifest_names

if TYPE_CHECKING:
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.findings import CheckReport


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """How closely to look."""

    deep: bool = option(False, name="--deep")
    """Read every byte; look for near-duplicate pictures."""
    data: Path | None = option(None, show_default="the one beside it")
    """The dataset of a fold manifest."""
    show: int = option(5, min=0)
    """How many files or ids to name for each finding."""


@dataclass(frozen=True, kw_only=True)
class StatsOptions:
    """What is counted into."""

    csv: Path | None = None
    """Also write all counts as CSV here."""
    png: Path | None = None
    """Also draw the class distributions here."""
    show: int = option(10, min=0)
    """How many outliers to name."""


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """What the page is."""

    out: Path | None = option(None, name="--out -o", show_default="<dataset>.html")
    """The page."""
    folds: Path | None = option(None, show_default="the one beside it")
    """A fold manifest to filter by."""
    thumbnail: int = 0
    """Pixels of a thumbnail; 0: by the number of samples."""


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """Whose scans, by which rules."""

    root: Path = RAW / "BosphorusDB"
    """The Bosphorus tree."""
    policy: str = option("thesis-3.8", metavar="NAME|FILE", names=partial(manifest_names, "policies"))
    """A policy of manifests/policies, or a TOML file of that kind."""
    out: Path = Path("action-units.csv")
    """The table to write, one row a scan."""
    show: int = option(50, min=0)
    """How many scans to print; the table that is written has all."""


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """Of what, and where."""

    data: Path = GLOBAL_FILE
    """The dataset."""
    raw: Path = RAW
    """Folder of the raw trees, for recordings before they were aligned."""
    out: Path | None = option(None, show_default="figures/figure-<number>.png")
    """The PNG."""


@app.command("check", rich_help_panel="Dataset")
@Options
def check(
    *,
    path: Annotated[
        Path, typer.Argument(help="A raw tree, a prepared folder, an HDF5 dataset or a fold manifest.")
    ] = GLOBAL_FILE,
    options: CheckOptions,
    as_json: JsonOption = False,
) -> None:
    """Complete? Intact? Free of leaks? Exit code 1 when something is wrong.

    [dim]fer-prep check data/raw/BU3DFE[/]

    [dim]fer-prep check global.h5 --deep[/]

    [dim]fer-prep check global.folds.json --json | jq .failed[/]
    """
    from fer_prep.inspection.check_path import check_path

    report = check_path(path, deep=options.deep, data=options.data, progress=progress_bar)
    if as_json:
        print_json({"path": report.path, "kind": report.kind, "failed": report.failed, "findings": report.findings})
    else:
        _print_report(report, show=options.show)
    if report.failed:
        raise typer.Exit(EXIT_DATA_WRONG)


def _print_report(report: CheckReport, *, show: int) -> None:
    rows: list[tuple[str, str, str]] = []
    for finding in report.findings:
        named = ", ".join(finding.items[:show])
        more = f" … and {len(finding.items) - show} more" if len(finding.items) > show else ""
        rows.append((finding.severity, finding.what, finding.text + (f": {named}{more}" if named else "")))
    print_table(f"{report.kind} {report.path}", ["", "looked at", "found"], rows)
    errors = sum(finding.severity == "error" for finding in report.findings)
    warnings = sum(finding.severity == "warning" for finding in report.findings)
    say(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@app.command("stats", rich_help_panel="Dataset")
@Options
def stats(
    *,
    dataset: Annotated[Path, typer.Argument(help="The dataset.")] = GLOBAL_FILE,
    options: StatsOptions,
    as_json: JsonOption = False,
) -> None:
    """Count a dataset by class, dataset, subject, gender, intensity and label source; measure its geometry.

    [dim]fer-prep stats global.h5 --csv counts.csv --png classes.png[/]

    [dim]fer-prep stats global.h5 --json | jq .counts.dataset[/]
    """
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.inspection import statistics
    from fer_prep.inspection.thesis_figures import draw_figure

    csv, png = options.csv, options.png
    if csv is not None:
        check_output(
            csv, what="a table of counts", begins=",".join(statistics.COUNT_COLUMNS).encode(), inputs=[dataset, png]
        )
    if png is not None:
        check_output(png, what="a PNG picture", begins=PNG, inputs=[dataset])
    with DatasetFile.open(dataset) as data:
        counted = {column: statistics.crosstab(data, column) for column in _COUNTED_BY}
        found = statistics.measures(data, progress=progress_bar)
        tables: dict[str, Table] = {
            "subjects": (statistics.SUBJECT_COLUMNS, statistics.subjects_table(data)),
            "sequences": (statistics.SEQUENCE_COLUMNS, statistics.sequences_table(data)),
            "landmarks": (statistics.LANDMARK_COLUMNS, statistics.landmarks_table(data)),
            "measures": (_MEASURE_COLUMNS, statistics.measures_table(data, found)),
            "outliers": (_OUTLIER_COLUMNS, statistics.outliers(data, found)),
        }
        if as_json:
            _print_stats_json(data, counted, tables)
        else:
            for column, (names, counts) in counted.items():
                told_by_dataset = column == "corpus" and names == counted["dataset"][0]
                if column == "dataset" or (len(names) > 1 and not told_by_dataset):
                    unnamed = "as recorded" if column == "view" else "unknown"
                    print_table(_COUNTED_BY[column], *statistics.totalled(names, counts, unnamed=unnamed))
            for title, (columns, rows) in tables.items():
                if rows and title == "outliers":
                    print_table(f"outliers: {len(rows)}", columns, rows[: options.show])
                elif rows:
                    print_table(title, columns, rows)
        if csv is not None:
            write_atomically(csv, content=statistics.counts_csv(data))
        if png is not None:
            write_atomically(png, content=draw_figure("3.15", data, {}))


_COUNTED_BY = {
    "dataset": "samples by class and dataset",
    "corpus": "by corpus (CalD3r and MenD3s are recorded alike)",
    "label_source": "by label source",
    "intensity": "by intensity (0: the dataset has none)",
    "gender": "by gender",
    "ethnicity": "by ethnicity",
    "view": "by view (yaw and pitch in degrees)",
}
_MEASURE_COLUMNS = ("measure", "dataset", "5 %", "median", "95 %", "samples")
_OUTLIER_COLUMNS = ("sample", "measure", "value", "its dataset's median")

Crosstab = tuple[list[str], dict[str, list[int]]]
Table = tuple[tuple[str, ...], list[list[object]]]


def _print_stats_json(data: DatasetFile, counted: dict[str, Crosstab], tables: dict[str, Table]) -> None:
    """Counts as column → value → class → samples; each table as a list of objects."""
    counts = {
        column: {name: {emotion: row[place] for emotion, row in by_class.items()} for place, name in enumerate(names)}
        for column, (names, by_class) in counted.items()
    }
    lists = {name: [dict(zip(columns, row, strict=True)) for row in rows] for name, (columns, rows) in tables.items()}
    print_json({"path": data.path, "samples": data.n, "digest": data.digest, "counts": counts, **lists})


@app.command("browse", rich_help_panel="Dataset")
@Options
def browse(
    *, dataset: Annotated[Path, typer.Argument(help="The dataset.")] = GLOBAL_FILE, options: PageOptions
) -> None:
    """Make one web page with pictures of every sample: filters, landmarks, provenance; works from a file.

    [dim]fer-prep browse global.h5[/]  then open global.html
    """
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.folds.default import folds_path
    from fer_prep.folds.splits import read_folds
    from fer_prep.inspection.browse import write_page

    page, beside = options.out or dataset.with_suffix(".html"), folds_path(dataset)
    folds = options.folds or (beside if beside.is_file() else None)
    with DatasetFile.open(dataset) as data:
        manifest = read_folds(folds, data=data) if folds else None
        written = write_page(data, page, manifest=manifest, thumbnail=options.thumbnail, progress=progress_bar)
    say(f"{page}: {written / 1e6:.1f} MB; open it in a browser")


@app.command("map-aus", rich_help_panel="Prepare")
@Options
def map_aus(*, options: MapOptions, as_json: JsonOption = False) -> None:
    """Which Bosphorus scan gets which category, by which rule, and why the others get none.

    [dim]fer-prep map-aus --policy ck-emfacs-strict[/]
    """
    from fer_prep.inspection.map_action_units import COLUMNS, map_action_units, write_table

    out, show, inputs = options.out, options.show, [options.root, Path(options.policy)]
    check_output(out, what="a table of scans", begins=",".join(COLUMNS).encode(), inputs=inputs)
    mapped = map_action_units(options.root, policy=options.policy)
    for text in mapped.warnings:
        warn(text)
    write_table(mapped.scans, path=out)
    if as_json:
        print_json(mapped)
        return
    say(f"{mapped.policy}: {mapped.description}\n")
    if show:
        rows = [(scan.scan, scan.category or "–", scan.strength, scan.reason) for scan in mapped.scans[:show]]
        print_table("scans", ["scan", "category", "strength", "reason"], rows)
        if len(mapped.scans) > show:
            say(f"… and {len(mapped.scans) - show} more in {out}")
        say()
    print_table("categories", ["category", "posed", "strong", "weak", "all"], mapped.counts())
    if reasons := mapped.left_out():
        say()
        print_table("left out", ["reason", "scans"], reasons)
    incomplete = [scan for scan in mapped.scans if scan.category and scan.usable != "yes"]
    if incomplete:
        say(f"\n{len(incomplete)} of the scans with a category lack files, such as {incomplete[0].scan}")
    say(f"\n{len(mapped.scans)} scans: {out}")


@app.command("figure", rich_help_panel="Dataset")
@Options
def figure(
    *,
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=names_of(("3.1", "3.2", "3.3", "3.4", "3.5", "3.15")),
            help="Its number.",
            show_default="list them",
        ),
    ] = "",
    options: FigureOptions,
) -> None:
    """Draw one of the thesis's figures of data from a dataset; fer-train figure draws those of networks and results.

    [dim]fer-prep figure[/]

    [dim]fer-prep figure 3.3 --data global.h5 --out examples.png[/]
    """
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.inspection.thesis_figures import FIGURES, draw_figure

    if not name:
        print_table("Figures of data", ("figure", "shows"), [(number, each.what) for number, each in FIGURES.items()])
        return
    path = options.out or Path("figures") / f"figure-{name}.png"
    check_output(path, what="a PNG picture", begins=PNG, inputs=[options.data])
    with DatasetFile.open(options.data) as file:
        write_atomically(path, content=draw_figure(name, file, raw_places(options.raw)))
    say(f"written to {path}")
