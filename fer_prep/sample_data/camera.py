"""Cameras and head poses: from the head's millimetres to a picture's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def head_rotation(*, yaw_degrees: float, pitch_degrees: float, roll_degrees: float) -> Array:
    """(3, 3) rotation; yaw turns the face to the subject's left, pitch lifts the chin, roll leans it clockwise."""
    yaw, pitch, roll = np.radians([yaw_degrees, pitch_degrees, roll_degrees])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    lean = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return lean @ nod @ turn


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
        scale = self.focal_px / self.range_mm(points)
        return np.column_stack([self.centre_px[0] + points[:, 0] * scale, self.centre_px[1] - points[:, 1] * scale])


def roll_degrees(left_eye: Array, right_eye: Array) -> float:
    """Angle of the line from the right to the left eye in a picture, y down: positive = clockwise."""
    dx, dy = left_eye - right_eye
    return float(np.degrees(np.arctan2(dy, dx)))
