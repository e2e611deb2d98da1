"""The dataset on the training device: read once as integers, batches are index gathers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fer_prep.errors import FoldsError, UsageError
from fer_prep.global_file import GlobalFile, PixelSums, total_sums
from fer_prep.progress import Progress, silent
from fer_train.pixels import (
    depth_to_float,
    equalise_luma,
    resize_depth,
    resize_rgb,
    rgb_to_float,
    sums_per_sample,
)

_ROWS_A_READ: Final = 64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples as floats on the training device, not normalised yet."""

    rgb: Tensor
    """(B, 3, H, W) float32 in [0, 1], channels last in memory."""
    depth: Tensor
    """(B, 1, H, W) float32 in [0, 1]: stored depth / 65535; 0 where there is none."""
    valid: Tensor
    """(B, 1, H, W) bool: where there is depth."""
    labels: Tensor
    """(B,) int64, dense class index."""
    rows: Tensor
    """(B,) int64, row numbers of the dataset: what random draws are keyed by."""


@final
class ResidentData:
    """A whole fer-rgbd dataset in the memory of one device.

    ``rgb`` (N, H, W, 3) u8; ``depth`` (N, H, W) i16 that holds the bits of the stored u16 (torch knows little
    arithmetic on u16); ``labels`` (N,) int64 dense in ``classes``, −1 for samples of other classes; ``ids`` (N,).
    """

    def __init__(
        self,
        *,
        rgb: Tensor,
        depth: Tensor,
        labels: Tensor,
        ids: NDArray[np.str_],
        classes: tuple[str, ...],
        file: GlobalFile,
        sums: dict[str, NDArray[np.int64]] | None = None,
    ) -> None:
        self.rgb, self.depth, self.labels, self.ids, self.classes = rgb, depth, labels, ids, classes
        self.file = file
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
        file = GlobalFile.open(path)
        chosen = tuple(classes or file.classes)
        unknown = [name for name in chosen if name not in file.classes]
        if unknown:
            raise UsageError(
                f"the dataset has no class {unknown[0]!r}; it has: {', '.join(file.classes)}", path=file.path
            )
        if image_size is None and file.height != file.width:
            raise UsageError(f"pictures of {file.width} × {file.height} are not square", hint="give an --image-size")
        size = image_size or file.height
        changed = equalise or (file.height, file.width) != (size, size)
        rgb = torch.empty(file.n, size, size, 3, dtype=torch.uint8, device=device)
        depth = torch.empty(file.n, size, size, dtype=torch.int16, device=device)
        sums: list[dict[str, NDArray[np.int64]]] = []
        with progress("reading the dataset", total=file.n) as advance:
            for start in range(0, file.n, _ROWS_A_READ):
                rows = np.arange(start, min(start + _ROWS_A_READ, file.n))
                pictures, depths = prepare_pixels(
                    file.read_rgb(rows), file.read_depth(rows), device=device, image_size=size, equalise=equalise
                )
                rgb[start : start + len(rows)] = pictures
                depth[start : start + len(rows)] = depths.to(torch.int16)  # keeps the low 16 bits
                if changed:
                    sums.append(sums_per_sample(pictures, depths))
                advance(len(rows))
        file.close()
        return cls(
            rgb=rgb,
            depth=depth,
            labels=torch.from_numpy(file.labels_within(chosen)).to(device),
            ids=file.ids,
            classes=chosen,
            file=file,
            sums={name: np.concatenate([block[name] for block in sums]) for name in sums[0]} if sums else None,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def device(self) -> torch.device:
        """Where the pixels are."""
        return self.rgb.device

    @property
    def image_size(self) -> int:
        """Side of the pictures in pixels."""
        return self.rgb.shape[1]

    def rows_of(self, ids: Sequence[str]) -> Tensor:
        """Row numbers (n,) int64 on the device, in the order of ``ids``; every sample must be of a chosen class."""
        rows = torch.from_numpy(self.file.rows_of(ids)).to(self.device)
        others = (self.labels[rows] < 0).nonzero()
        if len(others):
            raise FoldsError(
                f"{len(others)} samples are of none of the classes {', '.join(self.classes)}, "
                f"e.g. {ids[int(others[0])]}",
                hint="use a fold manifest made for this class set",
            )
        return rows

    def gather(self, rows: Tensor) -> Batch:
        """The samples in ``rows`` (B,) int64 on the device, as floats."""
        depth = self.depth[rows].to(torch.int32) & 0xFFFF
        return Batch(
            rgb=rgb_to_float(self.rgb[rows]),
            depth=depth_to_float(depth),
            valid=depth[:, None] > 0,
            labels=self.labels[rows],
            rows=rows,
        )

    def statistics(self, rows: ArrayLike) -> PixelSums:
        """Pixel sums over ``rows``, of the pictures as they are here (resized, equalised), in stored units."""
        if self._sums is None:
            return self.file.statistics(rows)
        return total_sums(self._sums, rows)


def prepare_pixels(
    rgb: NDArray[np.uint8],
    depth: NDArray[np.uint16],
    *,
    device: torch.device | str,
    image_size: int,
    equalise: bool,
) -> tuple[Tensor, Tensor]:
    """Stored pixels (B, H, W, 3) u8 and (B, H, W) u16 → (B, S, S, 3) u8 and (B, S, S) i32 on the device."""
    pictures = resize_rgb(torch.from_numpy(rgb).to(device), size=image_size)
    # as int16 over the bus, half the bytes of int32
    depths = torch.from_numpy(depth.view(np.int16)).to(device).to(torch.int32) & 0xFFFF
    return equalise_luma(pictures) if equalise else pictures, resize_depth(depths, size=image_size)
