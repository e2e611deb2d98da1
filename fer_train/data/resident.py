"""The dataset on the training device: read once as integers, batches are index gathers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.statistics import PixelSums, total_sums
from fer_prep.progress import Progress, silent
from fer_train.data.batch import Batch
from fer_train.data.pixel_store import Wanted, open_wanted, prepare_pixels, rows_of_classes, to_tensors

_ROWS_A_READ: Final = 64


@final
class ResidentData:
    """A whole fer-rgbd dataset in the memory of one device: a ``PixelStore``.

    ``rgb`` (N, 3, H, W) u8; ``depth`` (N, H, W) i16 that holds the bits of the stored u16; ``ids`` (N,).
    """

    def __init__(
        self,
        *,
        rgb: Tensor,
        depth: Tensor,
        file: DatasetFile,
        classes: tuple[str, ...],
        sums: dict[str, NDArray[np.int64]] | None = None,
    ) -> None:
        self.rgb, self.depth, self.file, self.classes = rgb, depth, file, classes
        self.ids = file.ids
        self.labels = torch.from_numpy(file.labels_within(classes))
        self.device = self.row_device = rgb.device
        self.image_size = rgb.shape[2]
        self._labels_here = self.labels.to(self.device)
        self._sums = sums

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: torch.device | str = "cpu",
        classes: Sequence[str] | None = None,
        image_size: int | None = None,
        equalise: bool = False,
        progress: Progress = silent,
    ) -> ResidentData:
        """Read the file once, front to back; bring every picture to ``image_size``² and equalise its luma if asked.

        ``classes`` (default: the file's) are the class set in label order; ``image_size`` None keeps the file's size.
        """
        file, wanted = open_wanted(path, classes=classes, image_size=image_size, equalise=equalise)
        return cls.read(file, wanted, device=torch.device(device), progress=progress)

    @classmethod
    def read(cls, file: DatasetFile, wanted: Wanted, *, device: torch.device, progress: Progress) -> ResidentData:
        """As ``load``, of a file that is open already; it is closed afterwards."""
        size = wanted.image_size
        rgb = torch.empty(file.n, 3, size, size, dtype=torch.uint8, device=device)
        depth = torch.empty(file.n, size, size, dtype=torch.int16, device=device)
        sums: list[dict[str, NDArray[np.int64]]] = []
        with progress("reading the dataset", total=file.n) as advance:
            for start in range(0, file.n, _ROWS_A_READ):
                rows = np.arange(start, min(start + _ROWS_A_READ, file.n))
                stored = to_tensors(file.read("rgb", rows), file.read("depth", rows))
                pixels = prepare_pixels(
                    *(each.to(device) for each in stored), image_size=size, equalise=wanted.equalise
                )
                rgb[start : start + len(rows)] = pixels.pictures
                depth[start : start + len(rows)] = pixels.depths
                if wanted.changes(file):
                    sums.append(pixels.sums())
                advance(len(rows))
        file.close()
        joined = {name: np.concatenate([block[name] for block in sums]) for name in sums[0]} if sums else None
        return cls(rgb=rgb, depth=depth, file=file, classes=wanted.classes, sums=joined)

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of(self, ids: Sequence[str]) -> Tensor:
        """Row numbers (n,) int64 on the device, in the order of ``ids``; every sample must be of a chosen class."""
        return rows_of_classes(self.file, ids, labels=self.labels, classes=self.classes).to(self.device)

    def announce(self, batches: Iterable[Tensor]) -> None:
        """Nothing to prepare: everything is here."""

    def gather(self, rows: Tensor) -> Batch:
        """The samples in ``rows`` (B,) int64 on the device."""
        # index_select copies whole samples, where rgb[rows] would go pixel by pixel
        rgb, depth, labels = (each.index_select(0, rows) for each in (self.rgb, self.depth, self._labels_here))
        return Batch(pictures=rgb, depths=depth, labels=labels, rows=rows)

    def statistics(self, rows: ArrayLike) -> PixelSums:
        """Pixel sums over ``rows``, of the pictures as they are here (resized, equalised), in stored units."""
        return self.file.statistics(rows) if self._sums is None else total_sums(self._sums, rows)
