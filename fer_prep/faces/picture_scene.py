"""A recorded RGB-D raster as a Scene: colour and depth of one camera, seen through any rotated, scaled window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.warp import transform_points, warp_depth, warp_rgb
from fer_prep.sample import Frame, Point, PointSet

FOREGROUND_MM: Final = 300.0
"""How far behind the nearest surface a pixel still belongs to the person rather than to the wall: a head's depth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureScene:
    """One registered picture and depth map of the same raster, first row on top.

    ``rgb`` (H, W, 3) u1 sRGB; ``z_mm`` (H, W) height toward the camera in mm (minus the distance along its axis),
    anything where ``valid`` (H, W) is false. Nothing is resampled before ``view``. Where the camera's focal length is
    known, its axis is taken to meet the middle of the raster.
    """

    rgb: NDArray[np.uint8]
    z_mm: NDArray[np.float32]
    valid: NDArray[np.bool_]
    landmarks: Mapping[str, Point] = field(default_factory=dict[str, Point])
    schemes: Mapping[str, PointSet] = field(default_factory=dict[str, PointSet])
    rgb_source: str = "picture"
    registration_residual_px: float = 0.0
    set_right: Mapping[str, str] = field(default_factory=dict[str, str])
    focal_px: float = math.nan
    """Focal length in pixels of the raster; NaN where nobody knows."""
    depth_offset_mm: float = math.nan
    """See ``Frame``."""

    def __post_init__(self) -> None:
        height, width = self.rgb.shape[:2]
        if self.rgb.shape != (height, width, 3) or {self.z_mm.shape, self.valid.shape} != {(height, width)}:
            raise ValueError(
                f"expected rgb (H, W, 3), z_mm (H, W) and valid (H, W) of one raster; "
                f"found {self.rgb.shape}, {self.z_mm.shape} and {self.valid.shape}"
            )

    @property
    def raster_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB as recorded."""
        return self.rgb

    def depth_centre(self) -> Point | None:
        """Centroid, in continuous pixels, of what lies within ``FOREGROUND_MM`` of the nearest surface.

        The wall behind a person is valid geometry too, and would pull the centroid to the middle of the picture.
        None where there is no depth at all.
        """
        if not self.valid.any():
            return None
        # the 99th percentile: single flying pixels in front of a face are common in sensor depth
        nearest = np.percentile(self.z_mm[self.valid], 99)
        rows, columns = np.nonzero(self.valid & (self.z_mm > nearest - FOREGROUND_MM))
        return np.array([columns.mean() + 0.5, rows.mean() + 0.5])

    def project(self, points_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """(L, 3) points in the camera's frame → (L, 2) pixels; NaN where the focal length is not known."""
        points = np.asarray(points_mm, np.float64)
        return np.array(self.raster_size) / 2 + self.focal_px * points[:, :2] * (1, -1) / -points[:, 2:]

    def view(self, matrix: NDArray[np.float64], *, size: int) -> Frame:
        """See the raster through ``size`` × ``size`` pixels; ``matrix`` (2, 3) maps scene to output pixels."""
        z_mm, valid = warp_depth(self.z_mm, self.valid, matrix, size=size)
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        x, y = transform_points(np.array(self.raster_size) / 2, matrix).tolist()
        return Frame(
            rgb=warp_rgb(self.rgb, matrix, size=size),
            z_mm=z_mm,
            valid=valid,
            focal_px=scale * self.focal_px,
            depth_offset_mm=self.depth_offset_mm,
            principal_px=(x, y) if math.isfinite(self.focal_px) else (math.nan, math.nan),
        )
