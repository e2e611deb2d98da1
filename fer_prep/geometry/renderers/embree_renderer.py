"""Ray casting with Embree through embreex: a wheel of its own, no system library needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.camera import Camera
from fer_prep.geometry.mesh import TriangleMesh


class EmbreeRenderer:
    """embreex behind the renderer seam."""

    name = "embree"

    def __init__(self) -> None:
        from importlib import import_module  # compiled modules without type stubs

        self._new_scene = import_module("embreex.rtcore_scene").EmbreeScene
        self._add_mesh = import_module("embreex.mesh_construction").TriangleMesh

    def first_hits(self, mesh: TriangleMesh, *, camera: Camera, size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, −1 where there is none."""
        if not len(mesh.faces):
            return np.full((size, size), -1, np.int32)
        corners = mesh.vertices_mm[mesh.faces]
        scene = self._new_scene()
        held = self._add_mesh(scene, corners.astype(np.float32))  # the scene keeps no reference of its own
        rays = camera.rays(size, points_mm=corners.reshape(-1, 3))
        found = scene.run(rays.origins_mm.astype(np.float32), rays.directions.astype(np.float32))
        del held
        return found.astype(np.int32).reshape(size, size)
