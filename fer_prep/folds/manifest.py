"""What a fold manifest says, and whether that fits the data: what does not fit is refused, never repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FoldsError
from fer_prep.folds.protocols import FoldData, GroupBy, recordings_of, shipped_protocol


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The sample ids of one fold, sorted."""

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FoldManifest:
    """All folds of one protocol on one dataset."""

    protocol: str
    seed: int
    group_by: GroupBy
    """``subject``, ``dataset`` or ``sample``: what is never on both sides of a fold. Nothing divides a clip or the
    views of a recording."""
    partitions: bool = False
    """Every sample that takes part is validated exactly once."""
    classes: tuple[str, ...]
    """The classes of the evaluation, in label order: all of the data's, or a subset."""
    data_digest: str
    selection: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What of the data takes part, where that is not everything."""
    folds: tuple[Fold, ...]

    def fold(self, number: int) -> Fold:
        """Fold ``number``, counted from 0; one that does not exist is an error, never another split."""
        if not 0 <= number < len(self.folds):
            raise FoldsError(f"there is no fold {number}: this manifest has folds 0 to {len(self.folds) - 1}")
        return self.folds[number]

    def title(self, number: int) -> str:
        """Fold ``number`` for people: by the number that its folder and the tables have, and where that is on the way.

        Of five folds ``title(0)`` is ``fold 0 (1 of 5)``.
        """
        return f"fold {number} ({number + 1} of {len(self.folds)})"


def validate(manifest: FoldManifest, data: FoldData) -> None:
    """Raise FoldsError at the first thing in a manifest that does not fit the data, or leaks."""
    if manifest.data_digest != data.data_digest:
        raise FoldsError(
            f"these folds were made for other data (digest {manifest.data_digest[:12]}…, this data has "
            f"{data.data_digest[:12]}…)",
            hint="make folds for this file: fer-prep folds",
        )
    shipped = shipped_protocol(manifest.protocol)
    if shipped is not None and shipped.group_by != manifest.group_by:
        raise FoldsError(
            expected=f"group_by {shipped.group_by!r}, as protocol {manifest.protocol} has it",
            found=repr(manifest.group_by),
            hint="folds of one's own need a protocol name of their own",
        )
    if len(manifest.classes) < 2 or list(manifest.classes) != [c for c in data.classes if c in manifest.classes]:
        raise FoldsError(
            expected=f"at least two classes of {', '.join(data.classes)}, in this order",
            found=", ".join(manifest.classes),
        )
    if not manifest.folds:
        raise FoldsError("there is no fold in this manifest")
    row_of = {name: row for row, name in enumerate(data.ids.tolist())}
    for number, fold in enumerate(manifest.folds):
        _validate_fold(fold, manifest, data, row_of, where=f"fold {number}")
    _validate_turns(manifest)


def _validate_fold(
    fold: Fold, manifest: FoldManifest, data: FoldData, row_of: Mapping[str, int], *, where: str
) -> None:
    both = set(fold.train) & set(fold.val)
    if both:
        raise FoldsError(f"{where}: {len(both)} samples are on both sides, e.g. {min(both)}")
    rows: dict[str, NDArray[np.intp]] = {}
    for side, ids in (("train", fold.train), ("val", fold.val)):
        if not ids:
            raise FoldsError(f"{where}: {side} is empty")
        if len(set(ids)) != len(ids):
            twice = Counter(ids).most_common(1)[0][0]
            raise FoldsError(f"{where}: {side} names {twice!r} more than once")
        unknown = [name for name in ids if name not in row_of]
        if unknown:
            raise FoldsError(f"{where}: {len(unknown)} ids of {side} are not in the data, e.g. {unknown[0]!r}")
        rows[side] = np.array([row_of[name] for name in ids])
        present = {data.classes[label] for label in np.unique(data.labels[rows[side]])}
        if present - set(manifest.classes):
            raise FoldsError(
                f"{where}: {side} has samples of {', '.join(sorted(present - set(manifest.classes)))}, which is not "
                f"among the classes of this manifest"
            )
        if set(manifest.classes) - present:
            absent = ", ".join(name for name in manifest.classes if name not in present)
            raise FoldsError(
                f"{where}: no sample of {absent} in {side}",
                hint="every class must be on both sides: fewer folds, another seed or fewer classes may give that",
            )
    _refuse_shared_groups(rows["train"], rows["val"], manifest.group_by, data, where)


def _refuse_shared_groups(
    train: NDArray[np.int64], val: NDArray[np.int64], group_by: str, data: FoldData, where: str
) -> None:
    # a protocol that keeps datasets apart keeps their subjects apart as well
    apart = {name: data.column(name) for name in ("subject", group_by) if group_by != "sample"}
    for name, groups in {**apart, "recording": recordings_of(data)}.items():
        shared = np.intersect1d(groups[train], groups[val])
        if len(shared):
            raise FoldsError(f"{where}: {len(shared)} {name}s are on both sides, e.g. {shared[0]}")


def _validate_turns(manifest: FoldManifest) -> None:
    """Where every sample is validated once: one validated twice would count double."""
    if not manifest.partitions:
        return
    seen: set[str] = set()
    for number, fold in enumerate(manifest.folds):
        again = seen & set(fold.val)
        if again:
            raise FoldsError(
                f"fold {number}: {len(again)} samples were already validated in an earlier fold, e.g. {min(again)}"
            )
        seen |= set(fold.val)
    everyone = {name for fold in manifest.folds for name in (*fold.train, *fold.val)}
    if everyone - seen:
        raise FoldsError(f"{len(everyone - seen)} samples are in no validation fold, e.g. {min(everyone - seen)}")
