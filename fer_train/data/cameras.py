"""What stands beside the pictures of a batch where inputs are metric: how large pixels are, and where rays go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.dataset.pixel_sizes import pixel_sizes_mm
from fer_prep.dataset.reader import DatasetFile
from fer_train.data.inputs import PIXEL_MM, RAYS

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """Of N stored rasters; see ``docs/reference/hdf5.md``."""

    pixel_mm: Array
    """(N,) the side of a pixel, in the middle of the face's depth where rays are central."""
    focal_px: Array
    """(N,) NaN where rays are parallel."""
    principal_px: Array
    """(N, 2) column, row; NaN where rays are parallel."""
    middle_mm: Array
    """(N,) how far the middle of the face's depth lies behind its nearest point."""
    estimated: NDArray[np.bool_]
    """(N,) whether no camera is known, so that the distance of the eyes had to say how large a pixel is."""

    @classmethod
    def of(cls, file: DatasetFile) -> Cameras:
        """Those of a dataset; DatasetFileError for a sample of which neither camera nor eyes are known."""
        sizes = pixel_sizes_mm(file)
        is_parallel = np.isfinite(file.column("mm_per_pixel"))
        steps = file.statistic("depth_sum") / np.maximum(file.statistic("valid_pixels"), 1) - 1
        return cls(
            pixel_mm=sizes.mm,
            focal_px=np.where(is_parallel, np.nan, file.column("focal_px")),
            principal_px=file.column("principal_px").astype(np.float64),
            middle_mm=steps * file.depth_unit_mm,
            estimated=sizes.estimated,
        )

    def at(self, image_size: int, *, stored_px: int) -> dict[str, Tensor]:
        """``PIXEL_MM`` (N, 1, 1, 1) and ``RAYS`` (N, 4) of rasters ``stored_px`` wide, resized to ``image_size``²."""
        ratio = stored_px / image_size
        growth = np.where(np.isfinite(self.focal_px), ratio / self.focal_px, 0.0)
        principal = (self.principal_px + 0.5) / ratio - 0.5
        rays = np.column_stack([growth, np.where(growth[:, None] > 0, principal, 0.0), self.middle_mm])
        pixel_mm = (self.pixel_mm * ratio).reshape(-1, 1, 1, 1)
        return {name: torch.from_numpy(values).float() for name, values in ((PIXEL_MM, pixel_mm), (RAYS, rays))}
