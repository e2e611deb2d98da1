"""A range scan with its sensor's picture (Bosphorus) as a scene: every grid node knows its place in the picture.

Depth and colour of a pixel come from one ray: it meets the triangulated grid, and the picture is sampled where that
very point was seen. Where a ray meets nothing there is no depth; the picture is continued there from the
nearest pixel that has geometry, by the scan's average step in the picture a pixel, so that hair and background look as
in the photograph instead of being cut out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.cast_scene import BACKGROUND, CastScene
from fer_prep.geometry.hits import Surface
from fer_prep.geometry.range_grid import clean_grid, triangulate
from fer_prep.geometry.renderers import Renderer
from fer_prep.geometry.texture import sample_uniform
from fer_prep.sample import Point

Array = NDArray[np.float64]

_NTH: Final = 16
"""Every so many of the pixels tell the average step in the picture as well as all do."""


class GridScene(CastScene):
    """A range grid seen frontally along −z, coloured by its picture.

    ``points_mm`` (R, C, 3) top row first; ``image_uv`` (R, C, 2) fractions of the picture's width and height from its
    upper left corner; ``valid`` (R, C); ``picture`` (H, W, 3) sRGB. Landmarks are metric (3,) where the dataset has
    them so (``landmarks_mm``); those only known in picture pixels (``landmarks_px``) are carried over by the grid.
    """

    rgb_source = "picture"

    def __init__(
        self,
        points_mm: Array,
        *,
        image_uv: Array,
        valid: NDArray[np.bool_],
        picture: NDArray[np.uint8],
        landmarks_mm: Mapping[str, Array],
        landmarks_px: Mapping[str, Array] | None = None,
        renderer: Renderer | None = None,
    ) -> None:
        grid = clean_grid(points_mm, image_uv=image_uv, valid=valid)
        faces = triangulate(grid.points_mm, grid.valid)
        if not len(faces):
            raise SampleError(
                stage="render",
                reason=Reason.NO_DEPTH,
                expected="neighbouring valid points",
                found=f"{np.count_nonzero(valid)} points apart",
            )
        self._picture = picture
        self._picture_px = grid.image_uv.reshape(-1, 2) * picture.shape[1::-1]
        places = self._picture_px.T[:, faces.T]  # (2, 3, F)
        self._landmarks_px = landmarks_px or {}
        vertices_mm = grid.points_mm.reshape(-1, 3)
        super().__init__(vertices_mm, faces=faces, attributes=places, landmarks_mm=landmarks_mm, renderer=renderer)
        self._filled = np.asarray(np.take(grid.filled, faces).any(axis=1))

    def _projected_landmarks(self) -> dict[str, Point]:
        return {**self.from_picture(self._landmarks_px), **super()._projected_landmarks()}

    def from_picture(self, landmarks_px: Mapping[str, Array]) -> dict[str, Point]:
        """Picture pixels → scene-raster pixels, by the plane through the nearest grid nodes."""
        nodes, scene = self._picture_px[self._mesh.used], self.project(self._mesh.used_vertices_mm)
        found: dict[str, Point] = {}
        for name, point in landmarks_px.items():
            nearest = np.argsort(((nodes - point) ** 2).sum(axis=1), kind="stable")[:12]
            basis = np.column_stack([nodes[nearest] - point, np.ones(len(nearest))])
            found[name] = np.linalg.lstsq(basis, scene[nearest], rcond=None)[0][2]
        return found

    def _filled_pixels(self, surface: Surface) -> int:
        return int(np.count_nonzero(self._filled[surface.triangles]))

    def _colour(self, surface: Surface, *, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The picture where the rays meet the scan, continued where they do not."""
        background = np.full((*surface.valid.shape, 3), BACKGROUND, np.uint8)
        if not surface.valid.any():
            return background
        x, y, texels = _continued(np.stack(surface.attributes, axis=1), valid=surface.valid)
        rgb = sample_uniform(self._picture, x=x, y=y, texels_per_pixel=texels)
        height, width = self._picture.shape[:2]
        beyond = ~surface.valid & ~((x >= 0) & (x < width) & (y >= 0) & (y < height))
        return np.where(beyond[..., None], background, rgb)


def _continued(places: Array, *, valid: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """x and y (H, W) in the picture where every pixel looks, and how many texels it averages along one side.

    ``places`` (M, 2) are known where ``valid`` (H, W). An affine map fits them best; what remains of a place when the
    map is taken away is kept, for the other pixels, from the nearest one that is known.
    """
    rows, columns = np.nonzero(valid)
    basis = np.stack([columns, rows, np.ones_like(rows)], axis=1).astype(np.float64)
    # in a scan of one line the map is not unique: the smallest is taken
    affine = np.linalg.lstsq(basis[::_NTH], places[::_NTH], rcond=None)[0]
    # each known pixel gets a label of its own, all others that of the nearest
    missing = (~valid).astype(np.uint8)
    found = cv2.distanceTransformWithLabels(missing, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(found[1], np.int32)
    rest = np.zeros((int(labels.max()) + 1, 2), np.float32)
    rest[labels[valid]] = places - basis @ affine
    right, down, first = affine.astype(np.float32)
    height, width = valid.shape
    x, y = (
        np.arange(width, dtype=np.float32) * right[k]
        + np.arange(height, dtype=np.float32)[:, None] * down[k]
        + first[k]
        + rest[:, k][labels]
        for k in (0, 1)
    )
    return x, y, float(np.sqrt(abs(np.linalg.det(affine[:2]))))
