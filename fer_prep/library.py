"""Reading a dataset from one's own program: the small part of the package that others may rely on.

``fer_prep`` itself has these names; see docs/reference/python.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.depth_encoding import decode_depth


@dataclass(frozen=True, kw_only=True)
class DatasetSample:
    """One sample of a dataset, pixels included."""

    id: str
    subject: str
    dataset: str
    emotion: str
    """Its class by name; ``label`` is the index into the dataset's ``classes``."""
    label: int
    rgb: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    depth: NDArray[np.uint16]
    """(H, W) stored depth: 0 is no data, a larger value is farther away."""
    depth_unit_mm: float
    depth_offset_mm: float
    """Height of the stored value 1, toward the camera, in the source's own frame; NaN where unknown."""

    @property
    def height_mm(self) -> NDArray[np.float32]:
        """(H, W) height toward the camera in mm, NaN where there is no data or the offset is unknown."""
        return decode_depth(self.depth, self.depth_offset_mm, unit_mm=self.depth_unit_mm)[0]


def open_dataset(path: Path | str) -> DatasetFile:
    """Open a dataset that ``fer-prep merge`` wrote; use it in a ``with`` block, or close it.

    Raises ``FerError`` that says what the file is where it is no whole dataset.

    >>> import fer_prep
    >>> with fer_prep.open_dataset("global.h5") as data:
    ...     data.n, data.classes[:2]
    (14, ('anger', 'disgust'))
    """
    return DatasetFile.open(path)


def iterate_samples(data: DatasetFile, *, ids: Sequence[str] | None = None) -> Iterator[DatasetSample]:
    """The samples of an open dataset one by one: all, sorted by id, or those of ``ids`` in their order.

    >>> import fer_prep
    >>> with fer_prep.open_dataset("global.h5") as data:
    ...     first = next(fer_prep.iterate_samples(data))
    >>> first.emotion, first.rgb.shape, first.depth.dtype.name
    ('anger', (32, 32, 3), 'uint16')
    """
    rows = np.arange(data.n) if ids is None else data.rows_of(ids)
    columns = {name: data.column(name) for name in ("id", "subject", "dataset", "label", "depth_offset_mm")}
    for row in rows.tolist():
        label = int(columns["label"][row])
        yield DatasetSample(
            id=str(columns["id"][row]),
            subject=str(columns["subject"][row]),
            dataset=str(columns["dataset"][row]),
            emotion=data.classes[label],
            label=label,
            rgb=data.read("rgb", [row])[0],
            depth=data.read("depth", [row])[0],
            depth_unit_mm=data.depth_unit_mm,
            depth_offset_mm=float(columns["depth_offset_mm"][row]),
        )
