"""A textured mesh as a scene: colour and depth from one and the same orthographic camera, so registration is exact."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.cast_scene import BACKGROUND, CastScene
from fer_prep.geometry.hits import Surface
from fer_prep.geometry.renderers import Renderer
from fer_prep.geometry.texture import sample_uniform


class MeshScene(CastScene):
    """A mesh seen frontally along −z, coloured by its texture.

    ``vertices_mm`` (V, 3), ``faces`` (F, 3); ``uv_corners`` (F, 3, 2) texture coordinates a corner, u from the left
    and v from the *bottom* of ``texture`` (H, W, 3) sRGB: seams cost nothing, because every corner has its own.
    """

    rgb_source = "texture"

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
        uv = uv_corners.T  # (2, 3, F)
        super().__init__(vertices_mm, faces=faces, attributes=uv, landmarks_mm=landmarks_mm, renderer=renderer)
        uv = self._attributes
        self._texture = texture
        height, width = texture.shape[:2]
        (x1, x2), (y1, y2) = (uv[0, 1:] - uv[0, :1]) * width, (uv[1, 1:] - uv[1, :1]) * height
        self._areas_texels = np.abs(x1 * y2 - x2 * y1) / 2

    def _colour(self, surface: Surface, *, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The texture where the rays meet the mesh, the background elsewhere."""
        valid, (height, width) = surface.valid, self._texture.shape[:2]
        x, y = np.zeros(valid.shape, np.float32), np.zeros(valid.shape, np.float32)
        x[valid], y[valid] = surface.attributes[0] * width, (1 - surface.attributes[1]) * height
        areas = self._areas_texels[surface.triangles] / np.maximum(surface.areas_px, 1e-9)
        texels_per_pixel = float(np.sqrt(np.median(areas))) if len(areas) else 1.0
        rgb = sample_uniform(self._texture, x=x, y=y, texels_per_pixel=texels_per_pixel)
        rgb[~valid] = BACKGROUND
        return rgb
