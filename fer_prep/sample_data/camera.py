"""Cameras and head poses: from the head's millimetres to a picture's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fer_prep.geometry.camera import PerspectiveCamera

Array = NDArray[np.float64]


def head_rotation(*, yaw_degrees: float, pitch_degrees: float, roll_degrees: float) -> Array:
    """(3, 3) rotation; yaw turns the face to the subject's left, pitch lifts the chin, roll leans it clockwise."""
    return Rotation.from_euler("yxz", [yaw_degrees, -pitch_degrees, -roll_degrees], degrees=True).as_matrix()


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera looking along −z; the face frame's z = 0 lies ``distance_mm`` in front of it.

    ``focal_px`` and ``centre_px`` (x, y) belong to a raster of ``size`` (width, height).
    """

    distance_mm: float
    focal_px: float
    centre_px: tuple[float, float]
    size: tuple[int, int]

    def range_mm(self, points: Array) -> Array:
        """(n,) distance along the camera axis of points (n, 3) in mm."""
        return self.distance_mm - points[:, 2]

    def project(self, points: Array) -> Array:
        """(n, 2) continuous pixel coordinates of points (n, 3) in mm."""
        return self.central().screen(points)[:, :2]

    def central(self) -> PerspectiveCamera:
        """The same camera as the geometry knows it."""
        (x, y), focal = self.centre_px, self.focal_px
        return PerspectiveCamera(
            intrinsics=np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]]),
            rotation=np.diag([1.0, -1.0, -1.0]),
            translation_mm=np.array([0, 0, self.distance_mm]),
        )
