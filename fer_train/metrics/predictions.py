"""``predictions.csv``: what a run says about every sample that it judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.csv_tables import as_named, read_table, write_table
from fer_prep.errors import FormatError, UsageError
from fer_train.metrics.registry import score

FIRST_COLUMNS: Final = ("id", "fold", "label", "predicted")


@final
@dataclass(frozen=True, kw_only=True)
class Predictions:
    """One row a judged sample."""

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    folds: NDArray[np.int64]
    """(n,) which fold judged the sample; −1 where all did together."""
    labels: NDArray[np.int64]
    """(n,) index into ``classes``."""
    probabilities: NDArray[np.float64]
    """(n, K)."""

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) the most probable class."""
        return self.probabilities.argmax(axis=1)

    @property
    def scores(self) -> dict[str, float]:
        """Key → value of every metric."""
        return score(self.labels, self.probabilities)

    def only(self, rows: ArrayLike) -> Predictions:
        """Some of the rows: their numbers, or a mask (n,)."""
        chosen = np.arange(len(self.ids))[np.asarray(rows)]
        return Predictions(
            classes=self.classes,
            ids=tuple(self.ids[row] for row in chosen),
            folds=self.folds[chosen],
            labels=self.labels[chosen],
            probabilities=self.probabilities[chosen],
        )

    def write(self, path: Path) -> None:
        """Write CSV; labels are indices into the classes, which name the probability columns."""
        first = zip(self.ids, self.folds.tolist(), self.labels.tolist(), self.predicted.tolist(), strict=True)
        lines = (
            [*row, *(f"{value:.8g}" for value in values)]
            for row, values in zip(first, self.probabilities.tolist(), strict=True)
        )
        write_atomically(path, content=write_table((*FIRST_COLUMNS, *self.classes), lines))

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read back what ``write`` wrote."""
        try:
            table = read_table(path)
        except FileNotFoundError:
            hint = "the run is not finished: continue it with --resume"
            raise UsageError("no such file", path=path, hint=hint) from None
        columns = table.columns[len(FIRST_COLUMNS) :]
        rows = [row for _, row in table.lines]
        try:
            return cls(
                classes=tuple(as_named(name) for name in columns),
                ids=tuple(row["id"] for row in rows),
                folds=np.array([row["fold"] for row in rows]).astype(np.int64),
                labels=np.array([row["label"] for row in rows]).astype(np.int64),
                probabilities=np.array([[row[name] for name in columns] for row in rows]).astype(np.float64),
            )
        except (KeyError, ValueError) as error:
            expected = f"{', '.join(FIRST_COLUMNS)} and a probability for each class"
            raise FormatError(path=path, expected=expected, found=str(error)) from None
