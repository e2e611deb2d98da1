"""Who a search for settings may look at, and who judges what it found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import Fold, FoldManifest, make_folds, make_inner_split


@dataclass(frozen=True, kw_only=True)
class People:
    """Some rows of a dataset, as ``make_folds`` wants data."""

    file: DatasetFile
    rows: NDArray[np.int64]

    @property
    def classes(self) -> tuple[str, ...]:
        """The dataset's."""
        return self.file.classes

    @property
    def data_digest(self) -> str:
        """The dataset's."""
        return self.file.data_digest

    @property
    def ids(self) -> NDArray[np.str_]:
        """(n,) of these rows."""
        return self.file.ids[self.rows]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) of these rows."""
        return self.file.labels[self.rows]

    def column(self, name: str) -> np.ndarray:
        """(n,) of these rows."""
        return self.file.column(name)[self.rows]


def make_search_folds(
    file: DatasetFile, *, folds: int, holdout: float, seed: int
) -> tuple[FoldManifest, FoldManifest | None]:
    """The folds to search with, and the one split that judges what was found; no person is in both."""
    if not holdout:
        return make_folds(file, folds=folds, seed=seed), None
    split = make_inner_split(file, file.ids.tolist(), share=holdout, seed=seed)
    people = People(file=file, rows=file.rows_of(split.train))
    manifest = make_folds(people, folds=folds, seed=seed)
    outer = FoldManifest(
        protocol="search-holdout",
        seed=seed,
        group_by="subject",
        classes=manifest.classes,
        data_digest=file.data_digest,
        folds=(Fold(train=split.train, val=split.val),),
    )
    return manifest, outer
