"""From a stored pixel back to millimetres: the camera that a dataset keeps for every sample.

Pixels are (column, row) of pixel centres, as in the file. Axes are those of the source: x right, y up, z toward the
viewer; the roll φ that framing removed is put back. Formulas: ``docs/reference/hdf5.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class StoredCamera:
    """Parallel rays where ``mm_per_pixel`` is known, central rays where ``focal_px`` is; NaN is unknown."""

    mm_per_pixel: float
    origin_mm: tuple[float, float]
    """Metric x, y at the centre of pixel (0, 0) of parallel rays."""
    focal_px: float
    principal_px: tuple[float, float]
    roll_degrees: float
    """Positive: the head leaned clockwise in the picture."""
    depth_offset_mm: float
    """z of the depth value 1."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """From a sample's columns by name, as ``/samples`` has them."""
        single = {name: float(values[name]) for name in ("mm_per_pixel", "focal_px", "roll_degrees", "depth_offset_mm")}
        (x, y), (column, row) = values["origin_mm"], values["principal_px"]
        return cls(**single, origin_mm=(float(x), float(y)), principal_px=(float(column), float(row)))

    @classmethod
    def parallel(cls, mm_per_pixel: float, *, middle: Array, depth_offset_mm: float) -> Self:
        """Parallel rays with x = y = 0 at ``middle`` (2,), for samples of which no camera is known."""
        column, row = (float(value) for value in middle)
        return cls(
            mm_per_pixel=mm_per_pixel,
            origin_mm=(-mm_per_pixel * column, mm_per_pixel * row),
            focal_px=math.nan,
            principal_px=(math.nan, math.nan),
            roll_degrees=0.0,
            depth_offset_mm=depth_offset_mm,
        )

    def points_mm(self, depth: NDArray[np.uint16], *, unit_mm: float) -> Array:
        """(H, W) stored depth → (H, W, 3) metric points, NaN where there is no depth."""
        z = np.where(depth > 0, self.depth_offset_mm - (depth.astype(np.float64) - 1) * unit_mm, np.nan)
        place: Array = np.indices(depth.shape, np.float64)
        return self.points_at(place[1], place[0], z)

    def points_at(self, columns: Array, rows: Array, z_mm: Array) -> Array:
        """Pixels and their heights, all of one shape (…) → (…, 3) metric points."""
        right, down = columns, rows
        left_mm, top_mm, size = *self.origin_mm, np.float64(self.mm_per_pixel)
        if not math.isfinite(self.mm_per_pixel):
            right, down = columns - self.principal_px[0], rows - self.principal_px[1]
            left_mm, top_mm, size = 0.0, 0.0, -z_mm / self.focal_px
        roll = math.radians(self.roll_degrees) if math.isfinite(self.roll_degrees) else 0.0
        x = left_mm + size * (right * math.cos(roll) - down * math.sin(roll))
        y = top_mm - size * (right * math.sin(roll) + down * math.cos(roll))
        return np.stack([x, y, z_mm], axis=-1)
