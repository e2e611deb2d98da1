"""A textured mesh as a scene: colour and depth from one and the same orthographic camera, so registration is exact."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import SampleError
from fer_prep.geometry.camera import AffineCamera
from fer_prep.geometry.hits import Surface, surface_at
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.geometry.texture import TexturePyramid
from fer_prep.sample import Frame, Point

SCENE_RASTER_PIXELS: Final = 512
MARGIN: Final = 0.04
"""Free border of the scene raster on each side, as a part of the mesh's larger extent."""

BACKGROUND: Final = (127, 127, 127)
"""sRGB where a ray meets nothing: a neutral grey, the same for every dataset."""


def frontal_camera(points_mm: NDArray[np.float64], *, size: int = SCENE_RASTER_PIXELS) -> AffineCamera:
    """The frontal orthographic camera whose square raster holds all ``points_mm`` (N, 3) with a margin, centred."""
    low, high = points_mm[:, :2].min(axis=0), points_mm[:, :2].max(axis=0)
    side_mm = float((high - low).max()) * (1 + 2 * MARGIN)
    centre_x, centre_y = (low + high) / 2
    return AffineCamera.frontal(
        left_mm=float(centre_x - side_mm / 2), top_mm=float(centre_y + side_mm / 2), mm_per_pixel=side_mm / size
    )


def project_landmarks(camera: AffineCamera, landmarks_mm: Mapping[str, NDArray[np.float64]]) -> dict[str, Point]:
    """Metric landmarks (3,) → scene-raster pixels (2,)."""
    return {name: camera.screen(np.atleast_2d(point).astype(np.float64))[0, :2] for name, point in landmarks_mm.items()}


class MeshScene:
    """A mesh seen frontally along −z, coloured by its texture.

    ``vertices_mm`` (V, 3), ``faces`` (F, 3); ``uv_corners`` (F, 3, 2) texture coordinates a corner, u from the left
    and v from the *bottom* of ``texture`` (H, W, 3) sRGB: seams cost nothing, because every corner has its own.
    """

    def __init__(
        self,
        vertices_mm: NDArray[np.float64],
        *,
        faces: NDArray[np.int32],
        uv_corners: NDArray[np.floating],
        texture: NDArray[np.uint8],
        landmarks_mm: Mapping[str, NDArray[np.float64]],
        renderer: Renderer | None = None,
    ) -> None:
        self._mesh = whole_triangles(vertices_mm, faces=faces)
        kept = np.isfinite(vertices_mm[faces]).all(axis=(1, 2))
        self._uv = np.asarray(uv_corners, np.float64)[kept]
        self._pyramid = TexturePyramid.of(texture)
        self._renderer = renderer or choose_renderer()
        self._camera = frontal_camera(self._mesh.used_vertices_mm())
        self._landmarks = project_landmarks(self._camera, landmarks_mm)

    @property
    def raster_size(self) -> tuple[int, int]:
        """Width and height of the frontal scene raster."""
        return SCENE_RASTER_PIXELS, SCENE_RASTER_PIXELS

    @property
    def landmarks(self) -> Mapping[str, Point]:
        """The mesh's own landmarks in scene-raster pixels."""
        return self._landmarks

    @property
    def rgb_source(self) -> str:
        """The mesh's texture."""
        return "texture"

    @property
    def registration_residual_px(self) -> float:
        """Zero: one camera sees both."""
        return 0.0

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB of the scene raster."""
        return self._whole.rgb

    def depth_centre(self) -> Point | None:
        """Centroid of the mesh's visible part in scene-raster pixels."""
        return centroid(self._whole.valid)

    @cached_property
    def _whole(self) -> Frame:
        return self.view(np.eye(2, 3), size=SCENE_RASTER_PIXELS)

    def view(self, matrix: NDArray[np.float64], *, size: int) -> Frame:
        """Cast the ``size`` × ``size`` raster that ``matrix`` (2, 3) maps scene pixels to."""
        camera = self._camera.seen_through(matrix)
        hits = self._renderer.first_hits(self._mesh, camera=camera, size=size)
        surface = surface_at(hits, mesh=self._mesh, camera=camera, attributes=self._uv)
        valid = hits >= 0
        return Frame(
            rgb=self._colour(surface, camera=camera, valid=valid),
            z_mm=surface.raster(surface.z_mm, fill=np.nan),
            valid=valid,
            mm_per_pixel=camera.mm_per_pixel,
            origin_mm=camera.origin_mm,
        )

    def _colour(self, surface: Surface, *, camera: AffineCamera, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """(size, size, 3) the texture where the rays meet the mesh, the background elsewhere."""
        height, width = self._pyramid.levels[0].shape[:2]
        texels = _areas(self._uv * (width, height))
        pixels = _areas(camera.screen(self._mesh.vertices_mm)[self._mesh.faces][:, :, :2])
        level = 0.5 * np.log2(np.maximum(texels, 1e-9) / np.maximum(pixels, 1e-9))
        rgb = self._pyramid.sample(
            u=surface.raster(surface.attributes[:, 0], fill=0.0),
            v_down=surface.raster(1.0 - surface.attributes[:, 1], fill=0.0),
            level=surface.raster(level[surface.triangles], fill=0.0),
        )
        rgb[~valid] = BACKGROUND
        return rgb


def whole_triangles(vertices_mm: NDArray[np.float64], *, faces: NDArray[np.int32]) -> TriangleMesh:
    """The mesh of all triangles whose corners are finite; none at all makes the sample unusable."""
    vertices = np.asarray(vertices_mm, np.float64)
    kept = faces[np.isfinite(vertices[faces]).all(axis=(1, 2))]
    if not len(kept):
        raise SampleError(
            stage="render", expected="at least one triangle with finite corners", found=f"none in {len(faces)} faces"
        )
    return TriangleMesh(vertices_mm=vertices, faces=kept.astype(np.int32))


def centroid(valid: NDArray[np.bool_]) -> Point | None:
    """Mean of the valid pixels' centres in continuous pixels; None where there are none."""
    rows, columns = np.nonzero(valid)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5]) if len(rows) else None


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unsigned areas (T,) of plane triangles (T, 3, 2)."""
    (x1, y1), (x2, y2) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return 0.5 * np.abs(x1 * y2 - x2 * y1)
