"""A range scan with its sensor's picture (Bosphorus) as a scene: every grid node knows its place in the picture.

Depth and colour of a pixel come from one ray: it meets the triangulated grid, and the picture is sampled where that
very point was seen. Where a ray meets nothing there is no depth; the picture is continued there from the
nearest pixel that has geometry, by the scan's average step in the picture a pixel, so that hair and background look as
in the photograph instead of being cut out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.camera import AffineCamera
from fer_prep.geometry.hits import Surface, corner_attributes, surface_at
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.mesh_scene import BACKGROUND, SCENE_RASTER_PIXELS, centroid, frontal_camera, project_landmarks
from fer_prep.geometry.range_grid import clean_grid, triangulate
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.geometry.texture import sample_uniform
from fer_prep.sample import Frame, Point

Array = NDArray[np.float64]

_NODES_FOR_AVERAGE: Final = 4000
"""So many nodes tell the average step in the picture as well as all do."""


class GridScene:
    """A range grid seen frontally along −z, coloured by its picture.

    ``points_mm`` (R, C, 3) top row first; ``image_uv`` (R, C, 2) fractions of the picture's width and height from its
    upper left corner; ``valid`` (R, C); ``picture`` (H, W, 3) sRGB. Landmarks are metric (3,) where the dataset has
    them so (``landmarks_mm``); those only known in picture pixels (``landmarks_px``) are carried over by the grid.
    """

    def __init__(
        self,
        points_mm: NDArray[np.float64],
        *,
        image_uv: NDArray[np.float64],
        valid: NDArray[np.bool_],
        picture: NDArray[np.uint8],
        landmarks_mm: Mapping[str, NDArray[np.float64]],
        landmarks_px: Mapping[str, NDArray[np.float64]] | None = None,
        renderer: Renderer | None = None,
    ) -> None:
        grid = clean_grid(points_mm, image_uv=image_uv, valid=valid)
        faces = triangulate(grid)
        if not len(faces):
            raise SampleError(
                stage="render",
                reason=Reason.NO_DEPTH,
                expected="neighbouring valid points",
                found=f"{np.count_nonzero(valid)} points apart",
            )
        self._mesh = TriangleMesh(vertices_mm=_flat(grid.points_mm, grid.valid), faces=faces)
        height, width = picture.shape[:2]
        self._picture_px = _flat(grid.image_uv, grid.valid) * (width, height)
        self._picture_corners = corner_attributes(self._picture_px, self._mesh)
        first, second, third = np.take(grid.filled, self._mesh.corners)
        self._face_filled = first | second | third
        self._picture = picture
        self._renderer = renderer or choose_renderer()
        self._camera = frontal_camera(self._mesh.used_vertices_mm)
        self._landmarks = {
            **self._from_picture(landmarks_px or {}),
            **project_landmarks(self._camera, landmarks_mm),
        }

    @cached_property
    def _picture_from_xy(self) -> NDArray[np.float64]:
        """(2, 2) the linear part of the affine map of metric x, y to picture pixels that fits the scan best."""
        some = self._mesh.used[:: max(1, len(self._mesh.used) // _NODES_FOR_AVERAGE)]
        places = np.take(self._mesh.vertices_mm, some, axis=0)[:, :2]
        places -= places.mean(axis=0)
        # a scan in one line has no unique map: the pseudo-inverse takes the smallest
        return np.linalg.pinv(places.T @ places) @ (places.T @ np.take(self._picture_px, some, axis=0))

    def _from_picture(self, landmarks_px: Mapping[str, NDArray[np.float64]]) -> dict[str, Point]:
        """Picture pixels → scene-raster pixels, by the plane through the nearest grid nodes."""
        if not landmarks_px:
            return {}
        used = self._mesh.used
        nodes, scene = self._picture_px[used], self._camera.screen(self._mesh.vertices_mm[used])[:, :2]
        found: dict[str, Point] = {}
        for name, point in landmarks_px.items():
            nearest = np.argsort(((nodes - point) ** 2).sum(axis=1), kind="stable")[:12]
            basis = np.column_stack([nodes[nearest] - point, np.ones(len(nearest))])
            found[name] = np.linalg.lstsq(basis, scene[nearest], rcond=None)[0][2]
        return found

    @property
    def raster_size(self) -> tuple[int, int]:
        """Width and height of the frontal scene raster."""
        return SCENE_RASTER_PIXELS, SCENE_RASTER_PIXELS

    @property
    def landmarks(self) -> Mapping[str, Point]:
        """The dataset's own landmarks in scene-raster pixels."""
        return self._landmarks

    @property
    def rgb_source(self) -> str:
        """The scan's own picture."""
        return "picture"

    @property
    def registration_residual_px(self) -> float:
        """Zero: the sensor itself says where in the picture each point is."""
        return 0.0

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB of the scene raster."""
        return self._whole.rgb

    def depth_centre(self) -> Point | None:
        """Centroid of the visible scan in scene-raster pixels."""
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
        surface = surface_at(hits, mesh=self._mesh, camera=camera, attributes=self._picture_corners)
        valid = hits >= 0
        return Frame(
            rgb=self._colour(surface, camera=camera, valid=valid),
            z_mm=surface.raster(surface.z_mm, fill=np.nan),
            valid=valid,
            mm_per_pixel=camera.mm_per_pixel,
            origin_mm=camera.origin_mm,
            filled_pixels=int(np.count_nonzero(np.take(self._face_filled, surface.triangles))),
        )

    def _colour(self, surface: Surface, *, camera: AffineCamera, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """(size, size, 3) the picture where the rays meet the scan, continued where they do not."""
        if not len(surface.pixels):
            return _background(surface.size).copy()
        right, down = self._picture_steps(camera)
        height, width = self._picture.shape[:2]
        x, y = _places(surface, right=right, down=down)
        texels = float(np.sqrt(abs(right[0] * down[1] - right[1] * down[0])))
        rgb = sample_uniform(self._picture, x=x, y=y, texels_per_pixel=texels)
        within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return cv2.copyTo(_background(surface.size), (~(within | valid)).view(np.uint8), rgb)  # type: ignore[return-value]

    def _picture_steps(self, camera: AffineCamera) -> NDArray[np.float64]:
        """(2, 2) how far the place in the picture moves for one output pixel to the right and one down, on average."""
        corner, right, down = camera.unproject(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))[:, :2]
        return np.stack([right - corner, down - corner]) @ self._picture_from_xy


@lru_cache(maxsize=2)
def _background(size: int) -> NDArray[np.uint8]:
    """(size, size, 3) of nothing, made once: filling a raster with a triple takes longer than sampling a picture."""
    raster = np.full((size, size, 3), BACKGROUND, np.uint8)
    raster.setflags(write=False)
    return raster


def _flat(values: Array, valid: NDArray[np.bool_]) -> Array:
    """(R, C, K) as (R · C, K) with zeros where not ``valid`` (R, C); each of the K contiguous."""
    return np.stack([np.where(valid, values[:, :, k], 0.0).ravel() for k in range(values.shape[2])]).T


def _places(surface: Surface, *, right: Array, down: Array) -> list[NDArray[np.float32]]:
    """Two (size, size) rasters: x and y in the picture that every pixel looks at, measured or continued.

    ``right``, ``down`` (2,): the average step in the picture a pixel. What remains of a place when the average steps
    are taken away is kept from the nearest pixel of the scan; that one is looked for on a raster of half the size.
    """
    size, half = surface.size, (surface.size + 1) // 2
    rows = surface.pixels // size
    blocks = (rows >> 1) * half + (surface.pixels - rows * size >> 1)
    chosen = np.full(half * half, -1)
    chosen[blocks] = np.arange(len(blocks))  # one pixel of each block stands for it, whichever
    empty = chosen < 0
    chosen = chosen[~empty]
    # each block of the scan gets a label of its own, all others that of the nearest
    empty = empty.astype(np.uint8).reshape(half, half)
    found = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(found[1], np.int32)
    owners = labels[empty == 0]
    x, y = np.take(surface.x, chosen), np.take(surface.y, chosen)
    centres = (np.arange(size) + 0.5).astype(np.float32)
    places: list[NDArray[np.float32]] = []
    for values, step_right, step_down in zip(surface.attributes, right.tolist(), down.tolist(), strict=True):
        rest = np.zeros(int(labels.max()) + 1, np.float32)
        rest[owners] = np.take(values, chosen) - step_right * x - step_down * y
        nearest = cv2.resize(np.take(rest, labels), (2 * half, 2 * half), interpolation=cv2.INTER_NEAREST)
        place = nearest[:size, :size] + centres * np.float32(step_right)
        place += (centres * np.float32(step_down))[:, None]
        place.ravel()[surface.pixels] = values
        places.append(place.astype(np.float32, copy=False))
    return places
