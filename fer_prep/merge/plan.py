"""What a merge will write, decided before the first byte: which samples of which prepared folders, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from fer_prep.dataset.schema import MODALITIES
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.digests import data_digest, file_digest
from fer_prep.emotions import EIGHT, EMOTIONS
from fer_prep.errors import PreparedFolderError, UsageError
from fer_prep.folds.selection import SELECTING_COLUMNS, Selection
from fer_prep.look_alikes import look_alikes
from fer_prep.prepare.folder import SAMPLES, SUMMARY, PreparedFolder, table_name
from fer_prep.prepare.parts import PART, check_parts
from fer_prep.samples_table import COLUMNS, Row, column_array

PREPARED_ROOT: Final = Path("data/prepared")


@dataclass(frozen=True, kw_only=True)
class PlannedSample:
    """One sample of the output: where its pixels are, and what its row says (label already one of the output's)."""

    row: Row
    folder: PreparedFolder
    place: int
    """Its number among the rows of the folder."""

    @property
    def name(self) -> str:
        """Its id without the dataset."""
        return self.row["id"].split("/", 1)[1]

    @property
    def prepared_size(self) -> int:
        """The raster of the prepared pictures."""
        return int(self.folder.settings["size"])


@dataclass(frozen=True, kw_only=True)
class MergePlan:
    """Everything a merge needs besides the pixels."""

    samples: tuple[PlannedSample, ...]
    """Sorted by id."""
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    size: int
    settings: Mapping[str, Any]
    """What the file records about how it was made; no path, no time: equal inputs give equal bytes."""
    warnings: tuple[str, ...]
    left_out: int
    """Samples of the folders that the selection does not take."""


def find_prepared(root: Path = PREPARED_ROOT) -> list[Path]:
    """The prepared folders of a workspace, by convention ``data/prepared/<dataset>``."""
    folders = sorted(p for p in root.glob("*") if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise UsageError(
            "no prepared folder is here",
            path=root,
            hint="prepare datasets first (fer-prep render-bu3dfe, render-bosphorus, align), or name the folders",
        )
    return folders


def plan_merge(
    prepared: Iterable[Path], *, size: int, selection: Selection, modalities: tuple[str, ...] = ()
) -> MergePlan:
    """Open and judge all folders; raises the error of the first one that cannot be used.

    ``modalities`` empty takes those that the folders have, which must be the same.
    """
    if not 8 <= size <= 4096:
        raise UsageError(f"--size {size}: expected 8 to 4096 pixels")
    folders = [_open_whole(path) for path in _refuse_twice(prepared)]
    check_parts(folders)
    stored = _common_modalities(folders, modalities)
    known = _known_classes(folders)
    samples = [
        PlannedSample(row=row, folder=folder, place=place)
        for folder in folders
        for place, row in enumerate(folder.rows)
    ]
    _refuse_same_ids(samples)
    samples.sort(key=lambda sample: sample.row["id"])
    chosen = [samples[row] for row in _selected_rows(samples, selection, known)]
    if not chosen:
        raise UsageError("no sample is left: the folders are empty, or the selection takes nothing")
    classes = selection.classes_of(known)
    return MergePlan(
        samples=tuple(_relabelled(sample, classes) for sample in chosen),
        classes=classes,
        modalities=stored,
        size=size,
        settings={"size": size, "selection": selection.recorded(), "inputs": _describe(folders)},
        warnings=(*_differences(folders), *_alike(chosen, classes)),
        left_out=len(samples) - len(chosen),
    )


def _common_modalities(folders: Sequence[PreparedFolder], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """What the dataset will store; a folder that lacks some of it is refused, not filled up."""
    if set(wanted) - set(MODALITIES):
        expected = "rgb, depth or both with a comma"
        raise UsageError(f"--modalities {','.join(wanted)}: expected {expected}")
    asked = wanted or tuple(name for folder in folders for name in folder.modalities)
    stored = tuple(name for name in MODALITIES if name in asked)
    for folder in folders:
        if absent := [name for name in stored if name not in folder.modalities]:
            common = [name for name in stored if all(name in other.modalities for other in folders)]
            raise PreparedFolderError(
                path=folder.path,
                expected=f"{' and '.join(stored)}, as {'--modalities says' if wanted else 'other folders have'}",
                found=f"no {' and no '.join(absent)}",
                hint=f"--modalities {','.join(common)} merges what all of them have" if common else "leave it out",
            )
    return stored


def _known_classes(folders: Sequence[PreparedFolder]) -> tuple[str, ...]:
    """The classes of all folders: the seven, or what they have beyond those, in an order that no folder order changes.

    Folders of one list keep its order, whatever it is.
    """
    lists = {folder.classes for folder in folders}
    if all(set(classes) <= set(EMOTIONS) for classes in lists):
        return EMOTIONS
    if len(lists) == 1:
        return lists.pop()
    found = {name for classes in lists for name in classes}
    return (*(name for name in EIGHT if name in found), *sorted(found - set(EIGHT)))


def _relabelled(sample: PlannedSample, classes: tuple[str, ...]) -> PlannedSample:
    """The sample with its label an index into the output's ``classes``."""
    return replace(sample, row={**sample.row, "label": classes.index(_emotion(sample))})


def _emotion(sample: PlannedSample) -> str:
    return sample.folder.classes[int(sample.row["label"])]


def _refuse_twice(prepared: Iterable[Path]) -> list[Path]:
    named = list(prepared)
    places = [path.resolve() for path in named]
    for path, place in zip(named, places, strict=True):
        if places.count(place) > 1:
            raise UsageError("this folder is named more than once", path=path, hint="name every folder once")
    return named


def _open_whole(path: Path) -> PreparedFolder:
    """A prepared folder whose tables are what its ``prepared.json`` says."""
    folder = PreparedFolder.open(path)
    _refuse_other_settings(folder)
    _refuse_other_table(folder)
    rows = folder.rows
    if data_digest((row["digest"] for row in rows), (row["label"] for row in rows)) != folder.digest:
        raise PreparedFolderError(
            f"{SAMPLES} and {SUMMARY} are not of one run (the digest of the samples does not fit)",
            path=path,
            hint="run the command that prepared it again",
        )
    for row in rows:
        if row["dataset"] != folder.dataset or int(row["label"]) >= len(folder.classes):
            raise PreparedFolderError(
                path=path,
                expected=f"samples of {folder.dataset} with labels 0 to {len(folder.classes) - 1}",
                found=f"{row['id']} of {row['dataset']} with label {row['label']}",
            )
    return folder


def _refuse_other_settings(folder: PreparedFolder) -> None:
    """Depth in another unit."""
    if (unit := folder.summary["depth_unit_mm"]) != UNIT_MM:
        expected, found, again = f"depth in units of {UNIT_MM} mm", f"{unit} mm", "prepare it again with this version"
        raise PreparedFolderError(path=folder.path, expected=expected, found=found, hint=again)


def _refuse_other_table(folder: PreparedFolder) -> None:
    """A table of samples or landmarks that was changed, cut off or lost after the folder was prepared."""
    for name in (SAMPLES, *(table_name(scheme) for scheme in folder.summary["landmarks"])):
        table = folder.path / name
        if not table.is_file():
            problem = f"{name} is missing"
        elif file_digest(table) != folder.summary["tables"].get(name):
            problem = f"{name} is not the table that was prepared (its digest does not fit {SUMMARY})"
        else:
            continue
        raise PreparedFolderError(problem, path=folder.path, hint="run the command that prepared it again")


def _refuse_same_ids(samples: Sequence[PlannedSample]) -> None:
    first: dict[str, PlannedSample] = {}
    for sample in samples:
        name = sample.row["id"]
        if name in first:
            raise PreparedFolderError(
                f"sample {name} is also in {first[name].folder.path}: every id may come once",
                path=sample.folder.path,
                hint="leave one of the two folders out",
            )
        first[name] = sample


def _selected_rows(samples: Sequence[PlannedSample], selection: Selection, classes: tuple[str, ...]) -> Sequence[int]:
    if not samples:
        return []
    columns = {
        column.name: column_array(column, (sample.row for sample in samples))
        for column in COLUMNS
        if column.name in SELECTING_COLUMNS
    }
    emotions = np.array([_emotion(sample) for sample in samples])
    return selection.rows(columns, emotions=emotions, classes=classes).tolist()


def _describe(folders: Sequence[PreparedFolder]) -> list[dict[str, Any]]:
    """What the file remembers of its inputs, in an order of their own; the parts of a dataset are one input."""
    described = [
        {"dataset": folder.dataset, "digest": folder.digest, "settings": dict(folder.settings)}
        for folder in folders
        if PART not in folder.summary
    ]
    parts = [folder for folder in folders if PART in folder.summary]
    for dataset in {folder.dataset for folder in parts}:
        members = [folder for folder in parts if folder.dataset == dataset]
        rows = [row for folder in members for row in folder.rows]
        digest = data_digest((row["digest"] for row in rows), (row["label"] for row in rows))
        described.append({"dataset": dataset, "digest": digest, "settings": dict(members[0].settings)})
    return sorted(described, key=lambda entry: (entry["dataset"], entry["digest"]))


def _alike(samples: Sequence[PlannedSample], classes: Sequence[str]) -> list[str]:
    """Names of one dataset, or of classes, that differ in nothing that matters to a person."""
    people = {sample.row["subject"] for sample in samples}
    return [f"names that look alike: {names}; are they one?" for names in (*look_alikes(people), *look_alikes(classes))]


def _differences(folders: Sequence[PreparedFolder]) -> list[str]:
    """Settings that make samples of different folders look different for reasons that are not faces."""
    warnings: list[str] = []
    for name in ("framing", "mask"):
        values = {folder.dataset: folder.settings.get(name) for folder in folders}
        if len({str(value) for value in values.values()}) > 1:
            listed = ", ".join(f"{dataset} {value}" for dataset, value in sorted(values.items()))
            warnings.append(f"the folders were prepared with different {name}: {listed}")
    return warnings
