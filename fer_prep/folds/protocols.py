"""Evaluation protocols: small TOML files in ``manifests/protocols`` turned into lists of row numbers.

A protocol says how validation sets are formed (``scheme``), what is never on both sides (``group_by``), and for
the reader who uses it and what it leaks. A path to a file of one's own works wherever a name does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FoldsError
from fer_prep.folds.group_splitter import Groups, split_groups
from fer_prep.resources import manifest_file, manifests_folder
from fer_prep.validated import checked, read_toml

Rows = NDArray[np.int64]
Split = tuple[Rows, Rows]
"""Training rows and validation rows, ascending."""

Scheme = Literal["kfold", "holdout", "leave-one-out"]
GroupBy = Literal["subject", "dataset", "sample"]


class FoldData(Protocol):
    """What folds are made of: an open ``DatasetFile``, or any table with these members."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the labels."""
        ...

    @property
    def data_digest(self) -> str:
        """The digest of what a split depends on."""
        ...

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) sample ids."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) index into ``classes``."""
        ...

    def column(self, name: str) -> np.ndarray:
        """(N,) one column of the samples table."""
        ...


@dataclass(frozen=True, kw_only=True)
class FoldProtocol:
    """One protocol, as its file says it."""

    name: str
    """Where its file does not say, the file's name."""
    title: str
    scheme: Scheme
    """``kfold``: parts take turns; ``holdout``: one random part each time; ``leave-one-out``: one group a fold."""
    group_by: GroupBy
    """``subject``, ``dataset`` or ``sample``: what is never on both sides."""
    used_by: str
    leaks: str
    """What a model can know about the validation samples from training; empty where nothing."""
    stratify: bool = True
    folds: int = 5
    repeats: int = 1
    train_share: float = 0.0
    """Holdout only: the share of samples that are trained on."""
    seed: int = 0
    selection: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings of ``selection.Selection`` that belong to the protocol."""

    def partitions(self, *, repeats: int) -> bool:
        """True when every sample is validated exactly once."""
        return self.scheme == "leave-one-out" or (self.scheme == "kfold" and repeats == 1)


def read_protocol(name: str) -> FoldProtocol:
    """The protocol of that name in ``manifests/protocols``, or of the TOML file at that path."""
    path = Path(name) if name.endswith(".toml") else manifest_file("protocols", name)
    try:
        content = read_toml(path, error=FoldsError)
    except OSError as error:
        raise FoldsError(f"cannot read this protocol: {error}", path=path) from error
    protocol = checked(FoldProtocol, {"name": path.stem, **content}, path=path, error=FoldsError)
    if protocol.scheme == "holdout" and not 0 < protocol.train_share < 1:
        raise FoldsError(
            path=path, expected="train_share between 0 and 1 for a holdout", found=str(protocol.train_share)
        )
    return protocol


@cache
def shipped_protocol(name: str) -> FoldProtocol | None:
    """The protocol of that name in ``manifests/protocols``; None for one of a user's own."""
    path = manifests_folder() / "protocols" / f"{name}.toml"
    shipped = path.name == f"{name}.toml" and path.is_file()  # a name with slashes would lead elsewhere
    return read_protocol(name) if shipped else None


def make_splits(
    data: FoldData, *, rows: Rows, protocol: FoldProtocol, folds: int, repeats: int, seed: int
) -> list[Split]:
    """The training and validation rows of every fold, repeats one after another.

    ``rows`` are the selected rows of ``data``, in order of their ids.
    """
    if protocol.scheme == "leave-one-out":
        groups = groups_of(data, protocol.group_by)[rows]
        return [(rows[groups != name], rows[groups == name]) for name in np.unique(groups)]
    shares = [protocol.train_share, 1 - protocol.train_share] if protocol.scheme == "holdout" else [1 / folds] * folds
    splits: list[Split] = []
    for repeat in range(repeats):
        # a generator of its own for every repeat: asking for more repeats leaves the first ones as they were
        rng = np.random.default_rng([seed, repeat])
        part = assign_parts(
            data, rows=rows, group_by=protocol.group_by, stratify=protocol.stratify, shares=shares, rng=rng
        )
        validated = [1] if protocol.scheme == "holdout" else range(folds)
        splits += [(rows[part != k], rows[part == k]) for k in validated]
    return splits


def groups_of(data: FoldData, group_by: str) -> np.ndarray:
    """(N,) what each sample stays together with: its subject, its dataset, or only its recording."""
    return recordings_of(data) if group_by == "sample" else data.column(group_by)


def recordings_of(data: FoldData) -> NDArray[np.str_]:
    """(N,) what no split divides: the clip of a frame; else the recording, which the views of one share."""
    # an id ends with its view's angles after "@"; a clip belongs to its dataset
    return np.array(
        [
            f"{dataset}/{clip} (clip)" if clip else name.partition("@")[0]
            for name, dataset, clip in zip(
                data.ids.tolist(), data.column("dataset").tolist(), data.column("clip").tolist(), strict=True
            )
        ]
    )


def assign_parts(
    data: FoldData, *, rows: Rows, group_by: str, stratify: bool, shares: list[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """(len(rows),) the part of every row; whole groups stay together."""
    if group_by == "sample":
        return _deal_samples(data, rows=rows, stratify=stratify, shares=shares, rng=rng)
    names, group = np.unique(groups_of(data, group_by)[rows], return_inverse=True)
    labels = data.labels[rows]
    present = np.unique(labels)
    strata = _strata(data, rows) if stratify else np.zeros(len(rows), np.int64)
    groups = Groups(
        strata=_count(group, strata, (len(names), strata.max() + 1)),
        classes=_count(group, np.searchsorted(present, labels), (len(names), len(present))),
        class_names=[data.classes[label] for label in present],
    )
    return split_groups(groups, shares=shares, rng=rng)[group]


def _strata(data: FoldData, rows: Rows) -> NDArray[np.int64]:
    """(len(rows),) dense number of each row's (class, dataset)."""
    _, dataset = np.unique(data.column("dataset")[rows], return_inverse=True)
    return np.unique(data.labels[rows] * (dataset.max() + 1) + dataset, return_inverse=True)[1]


def _count(group: Rows, value: Rows, shape: tuple[int, int]) -> NDArray[np.float64]:
    counts = np.zeros(shape)
    np.add.at(counts, (group, value), 1)
    return counts


def _deal_samples(
    data: FoldData, *, rows: Rows, stratify: bool, shares: list[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Shuffle the recordings and cut at the shares; stratified: so that neighbours in a part are alike in stratum."""
    _, first, recording = np.unique(recordings_of(data)[rows], return_index=True, return_inverse=True)
    count = len(first)
    order = rng.permutation(count)
    part = np.empty(count, np.int64)
    if stratify:
        order = order[np.argsort(_strata(data, rows[first])[order], kind="stable")]
        # every stratum is dealt in turn: recording number i of the sorted pack goes where i falls among the shares
        turn = rng.permutation(np.repeat(np.arange(len(shares)), np.rint(np.array(shares) * 100).astype(int)))
        part[order] = turn[np.arange(count) % len(turn)] if len(set(shares)) > 1 else np.arange(count) % len(shares)
    else:
        cuts = np.rint(np.cumsum(shares)[:-1] * count).astype(int)
        part[order] = np.searchsorted(cuts, np.arange(count), side="right")
    return part[recording]
