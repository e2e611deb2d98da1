"""Ray casting with Open3D's RaycastingScene (Embree), on one thread: parallelism is the engine's affair."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.camera import Camera
from fer_prep.geometry.mesh import TriangleMesh


class Open3dRenderer:
    """Open3D behind the renderer seam."""

    name = "open3d"

    def __init__(self) -> None:
        import open3d

        self._open3d: ModuleType = open3d

    def first_hits(self, mesh: TriangleMesh, *, camera: Camera, size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, −1 where there is none."""
        if not len(mesh.faces):
            return np.full((size, size), -1, np.int32)
        tensor = self._open3d.core.Tensor
        scene = self._open3d.t.geometry.RaycastingScene(nthreads=1)
        scene.add_triangles(tensor(mesh.vertices_mm.astype(np.float32)), tensor(mesh.faces.astype(np.uint32)))
        rays = camera.rays(size, points_mm=mesh.vertices_mm[mesh.faces.ravel()])
        packed = np.concatenate([rays.origins_mm, rays.directions], axis=1, dtype=np.float32)
        found = scene.cast_rays(tensor(packed), nthreads=1)["primitive_ids"].numpy()
        return found.astype(np.int32).reshape(size, size)  # Open3D's "none" is the largest uint32, which becomes -1
