"""A mesh and an unregistered photograph of the same moment as a scene: the photograph's camera is solved first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.hits import surface_at
from fer_prep.geometry.mesh_scene import centroid, whole_triangles
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.geometry.solve_camera import SolvedCamera, solve_camera
from fer_prep.geometry.warp import warp_rgb
from fer_prep.sample import Frame, Point

MAX_RESIDUAL: Final = 0.016
"""Largest root-mean-square misfit of the solved camera, as a part of the photograph's width: 8 px in 512, about 4 mm
on the face; beyond that depth and colour are no longer of the same skin."""

FindPoints = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float64]]]
"""A landmark finder: (H, W, 3) sRGB → name → (2,) continuous pixels; empty where it finds no face."""


class PhotoScene:
    """The photograph as it is, and the mesh rendered through the camera that took it.

    ``vertices_mm`` (V, 3), ``faces`` (F, 3), ``photo`` (H, W, 3) sRGB, ``landmarks_mm`` name → (3,) on the mesh;
    ``find_points`` finds landmarks of the same names in the photograph. Raises SampleError where it finds none, and
    where the camera leaves more than ``MAX_RESIDUAL`` unexplained.
    """

    def __init__(
        self,
        vertices_mm: NDArray[np.float64],
        *,
        faces: NDArray[np.int32],
        photo: NDArray[np.uint8],
        landmarks_mm: Mapping[str, NDArray[np.float64]],
        find_points: FindPoints,
        renderer: Renderer | None = None,
    ) -> None:
        self._mesh = whole_triangles(vertices_mm, faces=faces)
        self._photo = photo
        self._renderer = renderer or choose_renderer()
        self.solved = _solve(photo, landmarks_mm=landmarks_mm, find_points=find_points)
        self._landmarks = {
            name: self.solved.camera.screen(np.atleast_2d(point).astype(np.float64))[0, :2]
            for name, point in landmarks_mm.items()
        }

    @property
    def raster_size(self) -> tuple[int, int]:
        """Width and height of the photograph."""
        return self._photo.shape[1], self._photo.shape[0]

    @property
    def landmarks(self) -> Mapping[str, Point]:
        """The mesh's landmarks where the solved camera sees them in the photograph."""
        return self._landmarks

    @property
    def rgb_source(self) -> str:
        """The photograph."""
        return "photo"

    @property
    def registration_residual_px(self) -> float:
        """Root-mean-square distance between projected and found landmarks in photograph pixels."""
        return self.solved.residual_px

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) the photograph."""
        return self._photo

    def depth_centre(self) -> Point | None:
        """Centroid of the rendered mesh in photograph pixels."""
        return self._mesh_centre

    @cached_property
    def _mesh_centre(self) -> Point | None:
        longer = max(self.raster_size)
        coarse = min(1.0, 128 / longer)
        frame = self.view(np.array([[coarse, 0.0, 0.0], [0.0, coarse, 0.0]]), size=round(longer * coarse))
        centre = centroid(frame.valid)
        return None if centre is None else centre / coarse

    def project(self, points_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """(L, 3) metric points → (L, 2) scene-raster pixels."""
        return self.solved.camera.screen(np.asarray(points_mm, np.float64))[:, :2]

    def view(self, matrix: NDArray[np.float64], *, size: int) -> Frame:
        """The photograph resampled, and the mesh cast at the very same rays; ``matrix`` (2, 3)."""
        camera = self.solved.camera.seen_through(matrix)
        hits = self._renderer.first_hits(self._mesh, camera=camera, size=size)
        none = np.zeros((0, 3, len(self._mesh.faces)))
        surface = surface_at(hits, mesh=self._mesh, camera=camera, attributes=none)
        return Frame(
            rgb=warp_rgb(self._photo, matrix, size=size),
            z_mm=surface.raster(surface.z_mm, fill=np.nan),
            valid=hits >= 0,
            focal_px=camera.focal_px,
            principal_px=camera.principal_px,
        )


def _solve(
    photo: NDArray[np.uint8], *, landmarks_mm: Mapping[str, NDArray[np.float64]], find_points: FindPoints
) -> SolvedCamera:
    """The photograph's camera, or a SampleError that says why there is none to be trusted."""
    found = find_points(photo)
    if not found:
        raise SampleError(stage="camera", reason=Reason.NO_FACE, expected="a face in the photograph", found="none")
    height, width = photo.shape[:2]
    solved = solve_camera(landmarks_mm, points_px=found, picture_size=(width, height))
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
