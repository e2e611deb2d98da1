"""A range scan with its sensor's picture (Bosphorus) as a scene: every grid node knows its place in the picture.

Depth and colour of a pixel come from one ray: it meets the triangulated grid, and the picture is sampled where that
very point was seen. Where a ray meets nothing there is no depth; the picture is continued there from the
nearest pixel that has geometry, by the scan's average step in the picture a pixel, so that hair and background look as
in the photograph instead of being cut out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import SampleError
from fer_prep.geometry.camera import AffineCamera
from fer_prep.geometry.hits import Surface, corner_attributes, surface_at
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.mesh_scene import BACKGROUND, SCENE_RASTER_PIXELS, centroid, frontal_camera, project_landmarks
from fer_prep.geometry.range_grid import clean_grid, triangulate
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.geometry.texture import sample_uniform
from fer_prep.sample import Frame, Point


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
                stage="render", expected="neighbouring valid points", found=f"{np.count_nonzero(valid)} points apart"
            )
        vertices = _zero_unless(grid.valid, grid.points_mm).reshape(-1, 3)
        self._mesh = TriangleMesh(vertices_mm=vertices, faces=faces)
        height, width = picture.shape[:2]
        self._picture_px = _zero_unless(grid.valid, grid.image_uv * (width, height)).reshape(-1, 2)
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
        places = self._mesh.used_vertices_mm[:, :2]
        places = places - places.mean(axis=0)
        # a scan in one line has no unique map: the pseudo-inverse takes the smallest
        return np.linalg.pinv(places.T @ places) @ (places.T @ np.take(self._picture_px, self._mesh.used, axis=0))

    def _from_picture(self, landmarks_px: Mapping[str, NDArray[np.float64]]) -> dict[str, Point]:
        """Picture pixels → scene-raster pixels, by the plane through the nearest grid nodes."""
        if not landmarks_px:
            return {}
        used = self._mesh.used
        nodes, scene = self._picture_px[used], self._camera.screen(self._mesh.vertices_mm[used])[:, :2]
        found = {}
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
        right, down = self._picture_steps(camera)
        height, width = self._picture.shape[:2]
        if not len(surface.pixels):
            return np.full((surface.size, surface.size, 3), BACKGROUND, np.uint8)
        steps = np.arange(surface.size)
        labels = _nearest_valid(valid)
        places = []
        for values, step_right, step_down in zip(surface.attributes, right, down, strict=True):
            # what remains of the place when the average step a pixel is taken away is kept from the nearest pixel
            rows, columns = np.divmod(surface.pixels, surface.size)
            by_label = np.zeros(int(labels.max()) + 1)
            by_label[np.take(labels, surface.pixels)] = values - step_right * columns - step_down * rows
            average = step_right * steps + (step_down * steps)[:, None]
            places.append((np.take(by_label, labels) + average).astype(np.float32))
        texels = float(np.sqrt(abs(right[0] * down[1] - right[1] * down[0])))
        rgb = sample_uniform(self._picture, x=places[0], y=places[1], texels_per_pixel=texels)
        within = (places[0] >= 0) & (places[0] < width) & (places[1] >= 0) & (places[1] < height)
        beyond = np.flatnonzero(~(within | valid))
        rgb.reshape(-1, 3)[beyond] = BACKGROUND
        return rgb

    def _picture_steps(self, camera: AffineCamera) -> NDArray[np.float64]:
        """(2, 2) how far the place in the picture moves for one output pixel to the right and one down, on average."""
        corner, right, down = camera.unproject(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))[:, :2]
        return np.stack([right - corner, down - corner]) @ self._picture_from_xy


def _zero_unless(valid: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A copy of ``values`` (R, C, K) with zeros where not ``valid`` (R, C)."""
    values = values.copy()
    values[~valid] = 0.0
    return values


def _nearest_valid(valid: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(H, W) labels: every valid pixel has one of its own, all others have that of the nearest valid one."""
    _, labels = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    return np.asarray(labels, np.int32)
