"""Cameras: which ray belongs to which pixel, and where on the raster a metric point falls.

Pixel coordinates are continuous, (x, y) with y down; the centre of pixel (row r, column c) is (c + 0.5, r + 0.5).
Metric coordinates are millimetres, +y up, +z toward the viewer of a frontal face.

Seeing a scene *through* a matrix (a (2, 3) similarity from scene-raster pixels to output pixels) makes a new camera
whose rays are the output pixels' own, so that geometry is cast once, exactly there, and never resampled. For a frontal
orthographic camera seen through a similarity that removes the roll θ (positive = clockwise in the picture),

    metric(row r, column c) = origin + mm · [c · (cos θ, −sin θ) + r · (−sin θ, −cos θ)]

where ``origin`` is the metric x, y at the centre of pixel (0, 0) and ``mm`` the size of a pixel
(:attr:`AffineCamera.origin_mm`, :attr:`AffineCamera.mm_per_pixel`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class AffineCamera:
    """Parallel rays (orthographic, weak perspective, affine).

    ``projection`` (2, 4) float64 maps homogeneous metric points to pixels; ``toward`` (3,) is the unit vector to the
    viewer, the one direction (up to sign) that ``projection`` does not see. What only central rays have is NaN.
    """

    projection: Array
    toward: Array
    is_central = False
    focal_px = math.nan
    principal_px = (math.nan, math.nan)

    @classmethod
    def frontal(cls, *, left_mm: float, top_mm: float, mm_per_pixel: float) -> AffineCamera:
        """Look along −z at a raster whose upper left *corner* (pixel coordinates 0, 0) is at the given x, y."""
        scale = 1.0 / mm_per_pixel
        projection = np.array([[scale, 0.0, 0.0, -left_mm * scale], [0.0, -scale, 0.0, top_mm * scale]])
        return cls(projection=projection, toward=np.array([0.0, 0.0, 1.0]))

    def screen(self, points_mm: Array) -> Array:
        """(N, 3) metric → (N, 3) x, y in pixels and the nearness: the height toward the viewer in mm.

        Of every camera, nearness is larger for what is nearer, and varies linearly over a projected triangle.
        """
        return points_mm @ np.vstack([self.projection[:, :3], self.toward]).T + [*self.projection[:, 3], 0.0]

    def height_mm(self, nearness: Array) -> Array:
        """The nearness of a parallel camera is the height already."""
        return nearness

    def unproject(self, pixels: Array) -> Array:
        """(N, 2) pixels → (N, 3) the metric points of height 0 on their rays."""
        full = np.vstack([self.projection[:, :3], self.toward])
        known = np.column_stack([pixels - self.projection[:, 3], np.zeros(len(pixels))])
        return np.linalg.solve(full, known.T).T.astype(np.float64)

    def seen_through(self, matrix: Array) -> AffineCamera:
        """The same rays' bundle, sampled at the pixels of another raster."""
        projection = np.asarray(matrix, np.float64) @ np.vstack([self.projection, [0.0, 0.0, 0.0, 1.0]])
        return AffineCamera(projection=projection, toward=self.toward)

    @property
    def mm_per_pixel(self) -> float:
        """Side of a square with the area of one pixel, in mm, measured across the rays."""
        return float(abs(np.linalg.det(np.vstack([self.projection[:, :3], self.toward]))) ** -0.5)

    @property
    def origin_mm(self) -> tuple[float, float]:
        """Metric x, y at the centre of pixel (0, 0); means what it says for a camera that looks along −z."""
        x, y, _ = self.unproject(np.array([[0.5, 0.5]]))[0]
        return float(x), float(y)


@dataclass(frozen=True, kw_only=True)
class PerspectiveCamera:
    """Central rays: pixel ~ ``intrinsics`` (3, 3) · (``rotation`` (3, 3) · X + ``translation_mm`` (3,)).

    The camera frame is the usual one of computer vision: x right, y down, z away from the camera (Hartley & Zisserman,
    *Multiple View Geometry*, §6.1).
    """

    intrinsics: Array
    rotation: Array
    translation_mm: Array
    is_central = True
    mm_per_pixel = math.nan
    origin_mm = (math.nan, math.nan)

    def screen(self, points_mm: Array) -> Array:
        """(N, 3) metric → (N, 3) x, y in pixels and 1 / (distance along the axis in mm); NaN behind the camera."""
        in_camera = points_mm @ self.rotation.T + self.translation_mm
        distance = np.where(in_camera[:, 2] > 0, in_camera[:, 2], np.nan)[:, None]
        return np.hstack([(in_camera @ self.intrinsics[:2].T) / distance, 1.0 / distance])

    def height_mm(self, nearness: Array) -> Array:
        """Minus the distance along the axis."""
        return -1.0 / nearness

    def seen_through(self, matrix: Array) -> PerspectiveCamera:
        """The same centre and pose, with the raster mapped by ``matrix``."""
        intrinsics = np.vstack([matrix, [0.0, 0.0, 1.0]]) @ self.intrinsics
        return PerspectiveCamera(intrinsics=intrinsics, rotation=self.rotation, translation_mm=self.translation_mm)

    @property
    def focal_px(self) -> float:
        """Focal length in pixels: the mean of both axes, which are alike for square pixels, turned or not."""
        return float(np.sqrt(abs(np.linalg.det(self.intrinsics[:2, :2]))))

    @property
    def principal_px(self) -> tuple[float, float]:
        """Where the optical axis meets the raster, in continuous pixels."""
        return float(self.intrinsics[0, 2]), float(self.intrinsics[1, 2])


Camera = AffineCamera | PerspectiveCamera
