"""fer-prep merge, folds and export: the dataset, its folds, and the way out to other programs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fer_prep.cli.app import app
from fer_prep.cli.console import print_json, print_table, progress_bar, say, warn
from fer_prep.cli.options import JsonOption, Options
from fer_prep.cli.workspace import GLOBAL_FILE
from fer_prep.errors import UsageError
from fer_prep.folds.selection import Selection, parse_names
from fer_prep.options import option
from fer_prep.outputs import check_output
from fer_prep.resources import manifest_names

if TYPE_CHECKING:
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.folds.splits import FoldManifest
    from fer_prep.merge.merge_folders import MergeSummary


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """What a merge writes besides the choice of samples."""

    size: int = 260
    """Raster of the output, in pixels."""
    modalities: tuple[str, ...] = option(
        (), parse=parse_names, names=("rgb", "depth", "rgb,depth"), show_default="what the folders have"
    )
    """What to store: rgb, depth, or both with a comma."""
    shard_size: int = 0
    """Samples in each shard beside a small index; 0: one file."""
    compression: str = option("none", names=("none", "lz4", "zstd", "gzip"))
    """none, lz4, zstd or gzip. On the sample data files become 34, 45, 52 % smaller and are read at ⅔, ¼, ⅛ of the
    speed; lz4 and zstd need the package hdf5plugin."""
    workers: int | None = option(None, min=0, show_default="one a core")
    """Threads that decode; 0: one a core."""


@dataclass(frozen=True, kw_only=True)
class FoldOptions:
    """Which folds are made."""

    protocol: str = option("subject-kfold", names=partial(manifest_names, "protocols"))
    """A protocol (see --list), or the path of a protocol file of your own."""
    folds: int | None = option(None, min=1, show_default="the protocol's")
    """Number of folds."""
    repeats: int | None = option(None, min=1, show_default="the protocol's")
    """Number of repeats."""
    seed: int | None = option(None, show_default="the protocol's")
    """Seed of all draws."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is exported, and as what."""

    to: Literal["folder", "webdataset", "ply", "npz", "glb"] = "folder"
    """Pictures in a folder for each class; tar shards for WebDataset; or faces in space, a file each, in millimetres:
    ply (coloured points), npz (arrays), glb (textured mesh)."""
    folds: Path | None = None
    """A fold manifest: export train and val apart."""
    fold: int = 0
    """Which fold of it, from 0."""
    per_shard: int = 1000
    """Samples in a tar shard."""


@app.command("merge", rich_help_panel="Dataset")
@Options
def merge(
    *,
    prepared: Annotated[
        list[Path] | None,
        typer.Argument(help="Prepared folders.", show_default="every folder in data/prepared"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset to write.")] = GLOBAL_FILE,
    options: MergeOptions,
    selection: Selection,
    card: Annotated[bool, typer.Option(help="Write a data card (Markdown and Croissant) beside the dataset.")] = True,
) -> None:
    """Pack prepared folders into one HDF5 dataset, with five subject-disjoint folds and a data card beside it.

    [dim]fer-prep merge --out global.h5[/]

    [dim]fer-prep merge data/prepared/bu3dfe --classes six-without-neutral --intensity 3-4 --out bu3dfe.h5[/]
    """
    from fer_prep.folds.default import write_default_folds
    from fer_prep.merge.merge_folders import merge as merge_folders
    from fer_prep.merge.plan import find_prepared

    summary = merge_folders(
        prepared or find_prepared(),
        out=out,
        selection=selection,
        progress=progress_bar,
        **vars(options),
    )
    for warning in summary.warnings:
        warn(warning)
    _print_merged(summary)
    folds = write_default_folds(out)
    (say if folds.manifest else warn)(folds.said)
    if card:
        from fer_prep.inspection.data_card import write_data_card

        say(f"data card: {', '.join(path.name for path in write_data_card(out))}")


def _print_merged(summary: MergeSummary) -> None:
    """Counts by dataset and class, and what the file is."""
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.inspection.statistics import crosstab, totalled

    with DatasetFile.open(summary.path) as data:
        print_table("samples", *totalled(*crosstab(data, "dataset")))
    shards = f" in {summary.shards} shards" if summary.shards else ""
    say(
        f"{summary.path}: {summary.n} samples of {summary.size}×{summary.size}, "
        f"{summary.bytes_written / 1e6:.1f} MB{shards}, digest {summary.digest}"
    )
    if summary.left_out:
        say(f"{summary.left_out} prepared samples were not selected")


@app.command("folds", rich_help_panel="Dataset")
@Options
def folds(
    *,
    dataset: Annotated[Path, typer.Argument(help="The dataset.")] = GLOBAL_FILE,
    options: FoldOptions,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The manifest.", show_default="<dataset>.folds.json")
    ] = None,
    selection: Selection,
    list_protocols: Annotated[bool, typer.Option("--list", help="Show the protocols and stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a fold manifest: which samples are trained on and which are validated, by id.

    [dim]fer-prep folds global.h5 --protocol leave-one-dataset-out --out lodo.folds.json[/]

    [dim]fer-prep folds global.h5 --protocol thesis-5fold --out thesis.folds.json[/]
    """
    if list_protocols:
        _print_protocols(as_json=as_json)
        return
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.folds.default import folds_path
    from fer_prep.folds.splits import BEGINNING, make_folds, write_folds

    path = out or folds_path(dataset)
    check_output(path, what="a fold manifest", begins=BEGINNING, inputs=[dataset, Path(options.protocol)])
    with DatasetFile.open(dataset) as data:
        manifest = make_folds(data, selection=selection, **vars(options))
        write_folds(manifest, path, data=data)
        _print_folds(manifest, data, path, as_json=as_json)


def _print_folds(manifest: FoldManifest, data: DatasetFile, path: Path, *, as_json: bool) -> None:
    """Sizes of the folds, and what they leak."""
    from fer_prep.folds.splits import subjects_on_both_sides

    shared = subjects_on_both_sides(manifest, data)
    subjects = data.column("subject")
    rows = [
        [
            number,
            len(fold.train),
            len(fold.val),
            len(set(subjects[data.rows_of(fold.train)])),
            len(set(subjects[data.rows_of(fold.val)])),
            leaked,
        ]
        for number, (fold, leaked) in enumerate(zip(manifest.folds, shared, strict=True))
    ]
    columns = ["fold", "train", "val", "subjects trained on", "subjects validated", "on both sides"]
    if as_json:
        listed = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"path": path, "protocol": manifest.protocol, "seed": manifest.seed, "folds": listed})
    else:
        print_table(f"{manifest.protocol}, seed {manifest.seed}", columns, rows[:20])
        if len(rows) > 20:
            say(f"… and {len(rows) - 20} more folds")
        say(f"{path}: {len(manifest.folds)} folds")
    if any(shared):
        validated = sum(row[4] for row in rows)
        warn(
            f"this protocol leaks: of {validated} validation subjects (summed over folds) {sum(shared)} "
            f"({sum(shared) / validated:.0%}) are also trained on. Its numbers compare with others of the same "
            "protocol only."
        )


def _print_protocols(*, as_json: bool) -> None:
    from fer_prep.folds.protocols import read_protocol
    from fer_prep.resources import manifests_folder

    protocols = [read_protocol(p.stem) for p in sorted((manifests_folder() / "protocols").glob("*.toml"))]
    rows = [(p.name, p.title, p.used_by, p.leaks or "nothing") for p in protocols]
    columns = ["name", "what", "used by", "leaks"]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    print_table("protocols", columns, rows)


@app.command("export", rich_help_panel="Dataset")
@Options
def export(
    *,
    dataset: Annotated[Path, typer.Argument(help="The dataset.")] = GLOBAL_FILE,
    out: Annotated[Path, typer.Option("--out", "-o", help="An empty folder.")] = Path("export"),
    options: ExportOptions,
) -> None:
    """Write a dataset as other programs read it; RGB as PNG, depth as 16-bit PNG, nothing lost.

    [dim]fer-prep export global.h5 --out pictures[/]

    [dim]fer-prep export global.h5 --to glb --out meshes[/]

    [dim]fer-prep export global.h5 --to webdataset --folds global.folds.json --fold 0 --out shards[/]
    """
    from fer_prep.dataset.reader import DatasetFile
    from fer_prep.exchange.export import export_folder, export_webdataset
    from fer_prep.folds.splits import read_folds

    to, fold = options.to, options.fold
    with DatasetFile.open(dataset) as data:
        manifest = read_folds(options.folds, data=data) if options.folds is not None else None
        if to in ("ply", "npz", "glb"):
            from fer_prep.exchange.surfaces import export_surfaces

            if manifest is not None:
                raise UsageError(f"--folds goes with folder and webdataset, not with {to}")
            written = export_surfaces(data, out, to=to, progress=progress_bar)
            if written.estimated:
                warn(
                    f"no camera is known of {len(written.estimated)} samples, e.g. {written.estimated[0]}: their size "
                    "is that of eyes 63 mm apart"
                )
            say(f"{out}: {written.n} files, landmarks.csv")
        elif to == "folder":
            say(f"{out}: {export_folder(data, out, manifest=manifest, fold=fold, progress=progress_bar)} samples")
        else:
            shards = export_webdataset(
                data, out, per_shard=options.per_shard, manifest=manifest, fold=fold, progress=progress_bar
            )
            say(f"{out}: {len(shards)} shards, {shards[0].name} to {shards[-1].name}")
