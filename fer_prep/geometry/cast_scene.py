"""What all scenes of rendered geometry have in common: a mesh, the camera of the scene raster, and its landmarks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.camera import AffineCamera, Camera
from fer_prep.geometry.hits import Surface, cast
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.sample import Frame, Point, PointSet

SCENE_RASTER_PIXELS: Final = 512
MARGIN: Final = 0.04
"""Free border of a frontal scene raster on each side, as a part of the mesh's larger extent."""

BACKGROUND: Final = (127, 127, 127)
"""sRGB where a ray meets nothing: a neutral grey, the same for every dataset."""


def frontal_camera(points_mm: NDArray[np.float64], *, size: int = SCENE_RASTER_PIXELS) -> AffineCamera:
    """The frontal orthographic camera whose square raster holds all ``points_mm`` (N, 3) with a margin, centred."""
    low, high = points_mm[:, :2].min(axis=0), points_mm[:, :2].max(axis=0)
    side_mm = float((high - low).max()) * (1 + 2 * MARGIN)
    left, bottom = ((low + high - side_mm) / 2).tolist()
    return AffineCamera.frontal(left_mm=left, top_mm=bottom + side_mm, mm_per_pixel=side_mm / size)


class CastScene(ABC):
    """A mesh and the camera of its scene raster; where colour comes from is the affair of each kind of scene.

    ``vertices_mm`` (V, 3), ``faces`` (F, 3), those with corners that are not finite are left away; ``attributes``
    (A, 3, F) are what colour is found by, at their corners. Without a ``camera`` the mesh is seen frontally.
    """

    rgb_source: str
    registration_residual_px: float = 0.0
    """Zero where one and the same ray brings colour and depth."""
    set_right: Mapping[str, str] = {}
    """See ``Scene``."""

    def __init__(
        self,
        vertices_mm: NDArray[np.float64],
        *,
        faces: NDArray[np.int32],
        attributes: NDArray[np.floating],
        camera: Camera | None = None,
        raster_size: tuple[int, int] = (SCENE_RASTER_PIXELS, SCENE_RASTER_PIXELS),
        landmarks_mm: Mapping[str, NDArray[np.float64]],
        renderer: Renderer | None,
    ) -> None:
        whole = np.isfinite(vertices_mm)[faces].all(axis=(1, 2))
        if not whole.any():
            raise SampleError(
                stage="render",
                reason=Reason.NO_DEPTH,
                expected="at least one triangle with finite corners",
                found=f"none in {len(faces)} faces",
            )
        self._mesh = TriangleMesh(vertices_mm=vertices_mm, faces=faces[whole])
        self._camera = camera or frontal_camera(self._mesh.used_vertices_mm)
        self._attributes = np.ascontiguousarray(attributes[:, :, whole], np.float64)
        self._renderer = renderer or choose_renderer()
        self.raster_size = raster_size
        self._landmarks_mm = landmarks_mm
        self.schemes: dict[str, PointSet] = {}
        self.landmarks: Mapping[str, Point] = self._projected_landmarks()

    def _projected_landmarks(self) -> dict[str, Point]:
        return {name: self.project(point[None])[0] for name, point in self._landmarks_mm.items()}

    def set_scheme(
        self,
        scheme: str,
        *,
        names: tuple[str, ...],
        points_mm: NDArray[np.float64],
        vertex: NDArray[np.int32] | None = None,
    ) -> None:
        """Add the dataset's own landmarks (L, 3), NaN where unknown."""
        points_px = self.project(points_mm)
        self.schemes[scheme] = PointSet(names=names, points_px=points_px, points_mm=points_mm, vertex=vertex)

    def turned(self, turn: NDArray[np.float64]) -> Self:
        """The same geometry and its landmarks turned by (3, 3) about the origin, and again seen frontally."""
        other = copy(self)
        vars(other).pop("_whole", None)
        other._mesh = TriangleMesh(vertices_mm=self._mesh.vertices_mm @ turn.T, faces=self._mesh.faces)
        other._camera = frontal_camera(other._mesh.used_vertices_mm)
        other._landmarks_mm = {name: turn @ point for name, point in self._landmarks_mm.items()}
        other.landmarks = other._projected_landmarks()
        other.schemes = {}
        for name, points in self.schemes.items():
            if points.points_mm is not None:
                other.set_scheme(name, names=points.names, points_mm=points.points_mm @ turn.T, vertex=points.vertex)
        return other

    @property
    def geometry(self) -> TriangleMesh:
        """The mesh that is seen."""
        return self._mesh

    def project(self, points_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """(L, 3) metric points → (L, 2) scene-raster pixels."""
        return self._camera.screen(np.asarray(points_mm, np.float64))[:, :2]

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB of the scene raster."""
        return self._whole.rgb

    def depth_centre(self) -> Point | None:
        """Centroid of the visible geometry in scene-raster pixels; None where nothing is seen."""
        rows, columns = np.nonzero(self._whole.valid)
        return np.array([columns.mean() + 0.5, rows.mean() + 0.5]) if len(rows) else None

    @cached_property
    def _whole(self) -> Frame:
        return self.view(np.eye(2, 3), size=max(self.raster_size))

    def view(self, matrix: NDArray[np.float64], *, size: int) -> Frame:
        """Cast the ``size`` × ``size`` raster that ``matrix`` (2, 3) maps scene pixels to."""
        camera = self._camera.seen_through(np.asarray(matrix, np.float64))
        surface = cast(self._mesh, camera=camera, size=size, renderer=self._renderer, attributes=self._attributes)
        return Frame(
            rgb=self._colour(surface, matrix=matrix),
            z_mm=surface.height_map(),
            valid=surface.valid,
            mm_per_pixel=camera.mm_per_pixel,
            origin_mm=camera.origin_mm,
            focal_px=camera.focal_px,
            principal_px=camera.principal_px,
            filled_pixels=self._filled_pixels(surface),
        )

    def _filled_pixels(self, surface: Surface) -> int:
        """How many pixels see what was interpolated instead of measured."""
        return 0

    @abstractmethod
    def _colour(self, surface: Surface, *, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB of what is seen through ``matrix``."""
