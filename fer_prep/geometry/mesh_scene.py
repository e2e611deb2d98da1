"""A textured mesh as a scene: colour and depth from one and the same orthographic camera, so registration is exact."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
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
    across = np.ascontiguousarray(points_mm[:, :2].T)
    low, high = across.min(axis=1), across.max(axis=1)
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
        kept = are_whole(vertices_mm, faces=faces)
        self._mesh = whole_triangles(vertices_mm, faces=faces)
        self._uv = np.ascontiguousarray(uv_corners[kept].transpose(2, 1, 0), dtype=np.float64)
        self._pyramid = TexturePyramid.of(texture)
        self._texel_areas = _areas(self._uv[0] * texture.shape[1], self._uv[1] * texture.shape[0])
        self._renderer = renderer or choose_renderer()
        self._camera = frontal_camera(self._mesh.used_vertices_mm)
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

    def project(self, points_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """(L, 3) metric points → (L, 2) scene-raster pixels."""
        return self._camera.screen(np.asarray(points_mm, np.float64))[:, :2]

    def view(self, matrix: NDArray[np.float64], *, size: int) -> Frame:
        """Cast the ``size`` × ``size`` raster that ``matrix`` (2, 3) maps scene pixels to."""
        camera = self._camera.seen_through(matrix)
        hits = self._renderer.first_hits(self._mesh, camera=camera, size=size)
        surface = surface_at(hits, mesh=self._mesh, camera=camera, attributes=self._uv)
        return Frame(
            rgb=self._colour(surface),
            z_mm=surface.raster(surface.z_mm, fill=np.nan),
            valid=hits >= 0,
            mm_per_pixel=camera.mm_per_pixel,
            origin_mm=camera.origin_mm,
        )

    def _colour(self, surface: Surface) -> NDArray[np.uint8]:
        """(size, size, 3) the texture where the rays meet the mesh, the background elsewhere."""
        level = 0.5 * np.log2(np.maximum(self._texel_areas, 1e-9) / np.maximum(surface.pixel_areas, 1e-9))
        u, v = surface.attributes
        colours = self._pyramid.sample(
            u=u.astype(np.float32),
            v_down=(1.0 - v).astype(np.float32),
            level=np.take(level.astype(np.float32), surface.triangles),
        )
        return surface.picture(colours, fill=BACKGROUND)


def whole_triangles(vertices_mm: NDArray[np.float64], *, faces: NDArray[np.int32]) -> TriangleMesh:
    """The mesh of all triangles whose corners are finite; none at all makes the sample unusable."""
    kept = faces[are_whole(vertices_mm, faces=faces)]
    if not len(kept):
        raise SampleError(
            stage="render",
            reason=Reason.NO_DEPTH,
            expected="at least one triangle with finite corners",
            found=f"none in {len(faces)} faces",
        )
    return TriangleMesh(vertices_mm=np.asarray(vertices_mm, np.float64), faces=kept.astype(np.int32))


def are_whole(vertices_mm: NDArray[np.float64], *, faces: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(F,) which faces have finite corners only."""
    finite: NDArray[np.bool_] = np.isfinite(vertices_mm)
    if finite.all():
        return np.ones(len(faces), bool)
    return np.asarray(finite[faces].all(axis=(1, 2)))


def centroid(valid: NDArray[np.bool_]) -> Point | None:
    """Mean of the valid pixels' centres in continuous pixels; None where there are none."""
    rows, columns = np.nonzero(valid)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5]) if len(rows) else None


def _areas(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unsigned areas (F,) of plane triangles with corners ``x`` (3, F), ``y`` (3, F)."""
    return 0.5 * np.abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
