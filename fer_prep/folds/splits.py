"""The fold manifest (``fer-folds``, version 1): who is trained on and who is validated, by sample id.

A manifest is validated against its data when written and when read. What does not fit is refused, never repaired.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.errors import FoldsError
from fer_prep.folds.manifest import Fold, FoldManifest, validate
from fer_prep.folds.protocols import FoldData, assign_parts, make_splits, read_protocol, shipped_protocol
from fer_prep.folds.selection import SELECTING_COLUMNS, Selection
from fer_prep.validated import checked, read_json

FORMAT: Final = "fer-folds"
VERSION: Final = 1
BEGINNING: Final = f'{{\n "format": "{FORMAT}"'.encode()
"""The first bytes of every manifest that is written."""
DEFAULT_PROTOCOL: Final = "subject-kfold"

__all__ = [
    "Fold",
    "FoldManifest",
    "make_folds",
    "make_inner_split",
    "read_folds",
    "subjects_on_both_sides",
    "validate",
    "write_folds",
]


def make_folds(
    data: FoldData,
    *,
    protocol: str = DEFAULT_PROTOCOL,
    folds: int | None = None,
    seed: int | None = None,
    repeats: int | None = None,
    selection: Selection | None = None,
) -> FoldManifest:
    """Make and validate the manifest of a protocol; None takes the number that the protocol's file gives.

    ``protocol`` is a name of ``manifests/protocols`` or the path of such a file; its own selection (classes,
    intensity, number of subjects) is applied on top of ``selection``.
    """
    rule = read_protocol(protocol)
    number, times = folds or rule.folds, repeats or rule.repeats
    drawn_with = rule.seed if seed is None else seed
    if number < 2 or times < 1:
        raise FoldsError(f"at least 2 folds and 1 repeat are needed; asked for {number} and {times}")
    chosen = (selection or Selection()).replaced_by({"seed": drawn_with, **rule.selection})
    classes = chosen.classes_of(data.classes)
    emotions = np.array(data.classes)[data.labels]
    rows = chosen.rows({name: data.column(name) for name in SELECTING_COLUMNS}, emotions=emotions, classes=data.classes)
    absent = [name for name in classes if name not in set(emotions[rows].tolist())]
    if absent:
        raise FoldsError(f"no sample of {', '.join(absent)} is left", hint="choose other --classes, or select less")
    rows = rows[np.argsort(data.ids[rows], kind="stable")]
    splits = make_splits(data, rows=rows, protocol=rule, folds=number, repeats=times, seed=drawn_with)
    recorded = {key: value for key, value in chosen.recorded().items() if key != "classes"}
    manifest = FoldManifest(
        protocol=rule.name,
        seed=drawn_with,
        group_by=rule.group_by,
        partitions=rule.partitions(repeats=times),
        classes=classes,
        data_digest=data.data_digest,
        folds=tuple(Fold(train=_ids(data, train), val=_ids(data, val)) for train, val in splits),
        selection=recorded,
    )
    validate(manifest, data)
    return manifest


def make_inner_split(
    data: FoldData, train_ids: Sequence[str], *, group_by: str = "subject", share: float = 0.15, seed: int = 0
) -> Fold:
    """Cut a training set once more, for choices that must not see the fold's own validation samples.

    ``share`` of the samples become validation. Grouped as the outer folds are; leaving one dataset out does not
    help inside (there may be one left), so there subjects are kept together.
    """
    if not 0 < share < 1:
        raise FoldsError(f"the share of the inner validation set must lie between 0 and 1; found {share}")
    rows = np.sort(_rows_of(data, train_ids, where="the training set"))
    group = "sample" if group_by == "sample" else "subject"
    rng = np.random.default_rng([seed, len(rows)])
    part = assign_parts(data, rows=rows, group_by=group, stratify=True, shares=[1 - share, share], rng=rng)
    return Fold(train=_ids(data, rows[part == 0]), val=_ids(data, rows[part == 1]))


def _ids(data: FoldData, rows: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(sorted(data.ids[rows].tolist()))


def _rows_of(data: FoldData, ids: Iterable[str], *, where: str) -> NDArray[np.int64]:
    """Row numbers of ids; an id that the data does not have is refused."""
    place = {name: row for row, name in enumerate(data.ids.tolist())}
    try:
        return np.array([place[name] for name in ids], np.int64)
    except KeyError as error:
        raise FoldsError(f"{where}: the data has no sample {error.args[0]!r}") from None


def subjects_on_both_sides(manifest: FoldManifest, data: FoldData) -> list[int]:
    """Per fold: how many validation subjects are also trained on."""
    row_of = {name: row for row, name in enumerate(data.ids.tolist())}
    subjects = data.column("subject")
    sides = [
        (subjects[[row_of[name] for name in fold.train]], subjects[[row_of[name] for name in fold.val]])
        for fold in manifest.folds
    ]
    return [len(np.intersect1d(train, val)) for train, val in sides]


def write_folds(manifest: FoldManifest, path: Path, *, data: FoldData) -> None:
    """Validate against the data, then write whole or not at all; the same manifest gives the same bytes."""
    validate(manifest, data)
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
    if not manifest.selection:
        del content["selection"]
    write_atomically(path, content=json.dumps(content, indent=1) + "\n")


def read_folds(path: Path | str, *, data: FoldData | None = None) -> FoldManifest:
    """Read a manifest and, where its data is given, validate it; errors name the file."""
    path = Path(path)
    try:
        content = read_json(path, error=FoldsError)
    except FileNotFoundError:
        hint = "fer-prep folds global.h5 --out FILE writes one"
        raise FoldsError("no such file", path=path, hint=hint) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = repr(content.get("format"))[:80] if isinstance(content, dict) else f"a JSON {type(content).__name__}"
        raise FoldsError(path=path, expected=f'a fold manifest ("format": "{FORMAT}")', found=found)
    if content.get("version") != VERSION:
        found = f"version {content.get('version')!r}"[:80]
        raise FoldsError(path=path, expected=f"version {VERSION}", found=found)
    if "partitions" not in content and isinstance(content.get("protocol"), str):
        shipped = shipped_protocol(content["protocol"])
        content["partitions"] = shipped is not None and shipped.partitions(repeats=shipped.repeats)
    manifest = checked(FoldManifest, content, path=path, error=FoldsError, others=True)
    try:
        if data is not None:
            validate(manifest, data)
    except FoldsError as error:
        raise FoldsError(error.message, path=path, hint=error.hint) from None
    return manifest
