"""What stands beside the pictures of a batch where inputs are metric: how large pixels are, and where rays go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.dataset.pixel_sizes import COLUMNS as SIZE_COLUMNS
from fer_prep.dataset.pixel_sizes import middle_mm, pixel_sizes_by, pixel_sizes_mm
from fer_prep.dataset.reader import DatasetFile
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.errors import UsageError
from fer_train.data.inputs import PIXEL_MM, RAYS

Array = NDArray[np.float64]

COLUMNS: Final = (*SIZE_COLUMNS, "principal_px")
"""Of a samples table, that say what camera saw it."""
PLACES: Final = ("left_eye", "right_eye", "principal_px")
"""Those of them that are places in the picture."""


def is_camera_known(row: Mapping[str, NDArray[Any]]) -> bool:
    """Whether ``COLUMNS`` of one sample, those that are known, say how its camera sees."""
    return bool({"mm_per_pixel", "focal_px"} & set(row))


def says_size(row: Mapping[str, NDArray[Any]]) -> bool:
    """Whether they, or its eyes, say how large a pixel is."""
    return is_camera_known(row) or {"left_eye", "right_eye"} <= set(row)


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
        pixel_sizes_mm(file)
        return cls.by({name: file.column(name) for name in COLUMNS}, middle_mm=middle_mm(file))

    @classmethod
    def of_pictures(cls, columns: Mapping[str, NDArray[Any]], depth: NDArray[np.uint16]) -> Cameras:
        """Of loose stored ``depth`` (B, H, W), as far as ``columns`` know them; UsageError where one is not known."""
        counts = np.maximum((depth > 0).sum(axis=(1, 2)), 1)
        unknown = {name: np.full((len(depth), 2) if name in PLACES else len(depth), np.nan) for name in COLUMNS}
        behind = (depth.sum(axis=(1, 2), dtype=np.float64) / counts - 1) * UNIT_MM
        found = cls.by(unknown | {name: columns[name] for name in COLUMNS if name in columns}, middle_mm=behind)
        if np.isnan(found.pixel_mm).any():
            raise UsageError(
                "this network looks at metric depth, and how large a pixel is, is not known: neither a camera nor eyes",
                hint="merge the pictures into a dataset, which knows it, or give landmarks",
            )
        return found

    @classmethod
    def by(cls, columns: Mapping[str, NDArray[Any]], *, middle_mm: Array) -> Cameras:
        """By ``COLUMNS`` of a samples table."""
        sizes = pixel_sizes_by(columns, middle_mm=middle_mm)
        return cls(
            pixel_mm=sizes.mm,
            focal_px=np.where(np.isfinite(columns["mm_per_pixel"]), np.nan, columns["focal_px"]),
            principal_px=columns["principal_px"].astype(np.float64),
            middle_mm=middle_mm,
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
