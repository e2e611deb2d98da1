"""A mesh and an unregistered photograph of the same moment as a scene: the photograph's camera is solved first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.hits import Surface
from fer_prep.geometry.renderers import Renderer
from fer_prep.geometry.solve_camera import SolvedCamera, solve_camera
from fer_prep.geometry.warp import warp_rgb

MAX_RESIDUAL: Final = 0.012
"""Largest root-mean-square misfit of the solved camera, as a part of the photograph's width: 6 px in 512, about 3 mm
on the face; beyond that depth and colour are no longer of the same skin."""


class PhotoScene(CastScene):
    """The photograph as it is, and the mesh rendered through the camera that took it.

    ``vertices_mm`` (V, 3), ``faces`` (F, 3), ``photo`` (H, W, 3) sRGB, ``landmarks_mm`` name → (3,) on the mesh;
    ``found_px`` name → (2,) landmarks of the same names in the photograph; the camera is solved from ``anchors_mm``
    where more points are known on the mesh than the dataset's. Raises SampleError where there are none, and where the
    camera leaves more than ``MAX_RESIDUAL`` unexplained. ``registration_residual_px`` is the root-mean-square distance,
    in photograph pixels, between found points and where cameras solved without them see them: of all points or of those
    named by ``outline``, whichever is worse.
    """

    rgb_source = "photo"

    def __init__(
        self,
        vertices_mm: NDArray[np.float64],
        *,
        faces: NDArray[np.int32],
        photo: NDArray[np.uint8],
        landmarks_mm: Mapping[str, NDArray[np.float64]],
        found_px: Mapping[str, NDArray[np.float64]],
        anchors_mm: Mapping[str, NDArray[np.float64]] | None = None,
        outline: Collection[str] = (),
        renderer: Renderer | None = None,
    ) -> None:
        self.solved = _solve(photo, anchors_mm=anchors_mm or landmarks_mm, outline=outline, found_px=found_px)
        super().__init__(
            vertices_mm,
            faces=faces,
            attributes=np.zeros((0, 3, len(faces))),
            camera=self.solved.camera,
            raster_size=(photo.shape[1], photo.shape[0]),
            landmarks_mm=landmarks_mm,
            renderer=renderer,
        )
        self.registration_residual_px = self.solved.residual_px
        self._photo = photo

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) the photograph."""
        return self._photo

    def turned(self, turn: NDArray[np.float64]) -> NoReturn:
        """A photograph has one view."""
        raise SampleError(
            stage="render",
            reason=Reason.NO_COLOUR,
            expected="a texture for views of the turned mesh",
            found="a photograph, which shows the view it was taken from",
        )

    def _colour(self, surface: Surface, *, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
        return warp_rgb(self._photo, matrix, size=len(surface.valid))


def _solve(
    photo: NDArray[np.uint8],
    *,
    anchors_mm: Mapping[str, NDArray[np.float64]],
    outline: Collection[str],
    found_px: Mapping[str, NDArray[np.float64]],
) -> SolvedCamera:
    """The photograph's camera, or a SampleError that says why there is none to be trusted."""
    if not found_px:
        raise SampleError(stage="camera", reason=Reason.NO_FACE, expected="a face in the photograph", found="none")
    height, width = photo.shape[:2]
    solved = solve_camera(anchors_mm, points_px=found_px, picture_size=(width, height))
    at_outline_px = [apart for name, apart in solved.misfit_px.items() if name in outline]
    if at_outline_px:
        outline_px = float(np.sqrt(np.mean(np.square(at_outline_px))))
        solved = replace(solved, residual_px=max(solved.residual_px, outline_px))
    limit_px = MAX_RESIDUAL * max(width, height)
    if not solved.residual_px <= limit_px:
        worst = max(solved.misfit_px, key=lambda name: solved.misfit_px[name])
        raise SampleError(
            stage="camera",
            reason=Reason.MISMATCH,
            expected=f"a camera that explains the landmarks to {limit_px:.1f} pixels",
            found=f"{solved.residual_px:.1f} pixels, {worst} being {solved.misfit_px[worst]:.1f} off",
        )
    return solved
