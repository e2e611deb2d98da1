"""The fold manifest that a merge leaves beside its dataset: five subject-disjoint folds, or the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FoldsError
from fer_prep.folds.protocols import FoldData
from fer_prep.folds.splits import FoldManifest, make_folds, read_folds, write_folds

DEFAULT_FOLDS: Final = 5


def folds_path(dataset: Path) -> Path:
    """``global.folds.json`` beside ``global.h5``."""
    return dataset.with_name(f"{dataset.stem}.folds.json")


class DefaultFolds(NamedTuple):
    """What became of the default manifest."""

    manifest: FoldManifest | None
    """None where none is there: five folds cannot be made of this data."""
    said: str
    """One sentence for the person who merged."""


def write_default_folds(dataset: Path) -> DefaultFolds:
    """Write the default manifest of a dataset, unless one that fits it is there already.

    Fewer folds than the trainer's default would be a surprise at training time: where five are impossible none are
    written, and the sentence says how many could be made. A manifest of other data is put aside, never overwritten.
    """
    path, aside = folds_path(dataset), ""
    with DatasetFile.open(dataset) as data:
        if path.is_file():
            try:
                manifest = read_folds(path, data=data)
            except FoldsError:
                old = path.with_name(f"{path.name}.old")
                path.replace(old)
                aside = f" (the one made for other data is now {old.name})"
            else:
                return DefaultFolds(manifest, f"{path.name} fits this data ({manifest.protocol}) and is kept")
        try:
            manifest = make_folds(data, folds=DEFAULT_FOLDS)
        except FoldsError as error:
            return DefaultFolds(None, _excuse(data, dataset, error) + aside)
        write_folds(manifest, path, data=data)
    sizes = ", ".join(str(len(fold.val)) for fold in manifest.folds)
    return DefaultFolds(manifest, f"{path.name}: {DEFAULT_FOLDS} subject-disjoint folds of {sizes} samples{aside}")


def _excuse(data: DatasetFile, dataset: Path, error: FoldsError) -> str:
    command = f"fer-prep folds {dataset} --folds {{}}"
    return f"no fold manifest is written: {error.message}. {which_folds_are_possible(data, command=command)}"


def which_folds_are_possible(data: FoldData, *, command: str, fewer_than: int = DEFAULT_FOLDS) -> str:
    """How many subject-disjoint folds this data has enough people for, with the command that makes them."""
    for folds in range(fewer_than - 1, 1, -1):
        try:
            make_folds(data, folds=folds)
        except FoldsError:
            continue
        return f"{folds} folds are possible: {command.format(folds)}"
    return "No folds without people on both sides are possible: prepare more people"
