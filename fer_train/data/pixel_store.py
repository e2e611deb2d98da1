"""Where batches come from: the one seam between the training loop and pixels that are in memory or streamed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.statistics import PixelSums
from fer_prep.errors import FoldsError, UsageError
from fer_train.data.batch import Batch, Pixels, stored_depth
from fer_train.data.pixels import equalise_luma
from fer_train.data.resample import resize_depth, resize_rgb

BYTES_A_PIXEL = 5
"""Three of RGB, two of depth."""


class PixelStore(Protocol):
    """A whole dataset at one image size. In memory or streamed: that changes how fast batches come, nothing else."""

    file: DatasetFile
    ids: NDArray[np.str_]
    """(N,)."""
    classes: tuple[str, ...]
    labels: Tensor
    """(N,) int64 on the CPU, dense in ``classes``; −1 for samples of other classes."""
    device: torch.device
    """Where batches are."""
    row_device: torch.device
    """Where row numbers are wanted."""
    image_size: int
    """Side of the pictures in pixels."""

    def __len__(self) -> int: ...

    def rows_of(self, ids: Sequence[str]) -> Tensor:
        """Row numbers (n,) int64 on ``row_device``, in the order of ``ids``; all must be of a chosen class."""
        ...

    def announce(self, batches: Iterable[Tensor]) -> None:
        """Say which rows ``gather`` will be asked for next, batch by batch; replaces what was announced before."""
        ...

    def gather(self, rows: Tensor) -> Batch:
        """The samples in ``rows`` (B,) int64: ready when they were announced, else read on the spot."""
        ...

    def statistics(self, rows: ArrayLike) -> PixelSums:
        """Pixel sums over ``rows``, of the pictures as they are here (resized, equalised), in stored units."""
        ...


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be made of a dataset's pixels."""

    classes: tuple[str, ...]
    """The class set, in label order."""
    image_size: int
    equalise: bool

    @classmethod
    def of(cls, file: DatasetFile, *, classes: Sequence[str] | None, image_size: int | None, equalise: bool) -> Wanted:
        """With the file's classes and size where none are given; what the file cannot give is refused."""
        chosen = tuple(classes or file.classes)
        unknown = [name for name in chosen if name not in file.classes]
        if unknown:
            raise UsageError(
                f"the dataset has no class {unknown[0]!r}; it has: {', '.join(file.classes)}", path=file.path
            )
        if image_size is None and file.height != file.width:
            raise UsageError(f"pictures of {file.width} × {file.height} are not square", hint="give an --image-size")
        return cls(classes=chosen, image_size=image_size or file.height, equalise=equalise)

    def changes(self, file: DatasetFile) -> bool:
        """True when the pictures will not be those of the file: then its statistics are not theirs."""
        return self.equalise or (file.height, file.width) != (self.image_size, self.image_size)


def prepare_pixels(rgb: Tensor, depth: Tensor, *, image_size: int, equalise: bool) -> Pixels:
    """Of stored pixels (B, H, W, 3) u8 and (B, H, W) i16 (the bits of u16), at ``image_size``."""
    pictures = resize_rgb(rgb, size=image_size)
    if tuple(depth.shape[1:]) != (image_size, image_size):
        depth = resize_depth(stored_depth(depth), size=image_size).to(torch.int16)  # keeps the low 16 bits
    if equalise:
        pictures = equalise_luma(pictures)
    return Pixels(pictures=pictures.permute(0, 3, 1, 2), depths=depth)


def to_tensors(rgb: NDArray[np.uint8], depth: NDArray[np.uint16]) -> tuple[Tensor, Tensor]:
    """Stored pixels as tensors without copying, depth as i16: half the bytes of int32 on their way to the device."""
    return torch.from_numpy(rgb), torch.from_numpy(depth.view(np.int16))


def rows_of_classes(file: DatasetFile, ids: Sequence[str], *, labels: Tensor, classes: Sequence[str]) -> Tensor:
    """Row numbers (n,) int64 on the CPU of ``ids``, each of which must have a label in ``classes``."""
    rows = torch.from_numpy(file.rows_of(ids))
    others = (labels[rows] < 0).nonzero()
    if len(others):
        raise FoldsError(
            f"{len(others)} samples are of none of the classes {', '.join(classes)}, e.g. {ids[int(others[0])]}",
            hint="use a fold manifest made for this class set",
        )
    return rows


def open_wanted(
    path: Path, *, classes: Sequence[str] | None, image_size: int | None, equalise: bool
) -> tuple[DatasetFile, Wanted]:
    """The dataset at ``path`` and what is to be made of it."""
    file = DatasetFile.open(path)
    return file, Wanted.of(file, classes=classes, image_size=image_size, equalise=equalise)
