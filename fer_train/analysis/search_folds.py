"""Who a search for settings may look at, and who judges what it found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import Fold, FoldManifest, make_folds, make_inner_split


class SomeRows:
    """Some rows of a dataset, as ``make_folds`` wants data."""

    def __init__(self, file: DatasetFile, rows: NDArray[np.int64]) -> None:
        self.classes, self.data_digest = file.classes, file.data_digest
        self.ids, self.labels = file.ids[rows], file.labels[rows]
        self._file, self._rows = file, rows

    def column(self, name: str) -> np.ndarray:
        """(n,) of these rows."""
        return self._file.column(name)[self._rows]


def make_search_folds(
    file: DatasetFile, *, folds: int, holdout: float, seed: int
) -> tuple[FoldManifest, FoldManifest | None]:
    """The folds to search with, and the one split that judges what was found; no person is in both."""
    if not holdout:
        return make_folds(file, folds=folds, seed=seed), None
    split = make_inner_split(file, file.ids.tolist(), share=holdout, seed=seed)
    manifest = make_folds(SomeRows(file, file.rows_of(split.train)), folds=folds, seed=seed)
    outer = FoldManifest(
        protocol="search-holdout",
        seed=seed,
        group_by="subject",
        classes=manifest.classes,
        data_digest=manifest.data_digest,
        folds=(Fold(train=split.train, val=split.val),),
    )
    return manifest, outer
