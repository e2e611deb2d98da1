"""For the trainer's streaming as long as it is not yet built on ``DatasetFile.read``: to be removed with it."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.schema import dataset_at, open_hdf5


class DirectPixels:
    """Pixels of an uncompressed dataset, read by several threads at once."""

    def __init__(self, data: DatasetFile) -> None:
        self._data = DatasetFile.open(data.path)

    @classmethod
    def of(cls, data: DatasetFile) -> Self | None:
        """None where pixels are compressed."""
        with open_hdf5(data.path.with_name(data.shard_names[0]) if data.shard_names else data.path) as root:
            contiguous = all(dataset_at(root, name).chunks is None for name in data.modalities)
        return cls(data) if contiguous else None

    def read_into(self, rows: NDArray[np.int64], *, rgb: NDArray[np.uint8], depth: NDArray[Any]) -> None:
        """``rows`` (B,) into ``rgb`` (B, H, W, 3) and ``depth`` (B, H, W) of two bytes a pixel."""
        rgb[...] = self._data.read("rgb", rows)
        depth.view(np.uint16)[...] = self._data.read("depth", rows)

    def close(self) -> None:
        """Release the files."""
        self._data.close()
