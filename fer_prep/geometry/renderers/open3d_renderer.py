"""Ray casting with Open3D's RaycastingScene (Embree), on one thread: parallelism is the engine's affair."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray


class Open3dRenderer:
    """Open3D behind the renderer seam: one ray for every pixel, across the screen."""

    name = "open3d"

    def __init__(self) -> None:
        import open3d

        self._open3d: ModuleType = open3d

    def first_hits(self, screen: NDArray[np.float64], *, faces: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, −1 where there is none."""
        hits = np.full((size, size), -1, np.int32)
        if not len(faces):
            return hits
        tensor = self._open3d.core.Tensor
        scene = self._open3d.t.geometry.RaycastingScene(nthreads=1)
        used = np.zeros(len(screen), np.bool_)
        used[faces] = True
        x, y, nearness = screen[used].T
        scene.add_triangles(tensor(_as_deep_as_wide(screen, nearness, size=size)), tensor(faces.astype(np.uint32)))
        # a third of the raster is beside the mesh: no rays there
        left, top, right, bottom = np.clip([x.min(), y.min(), np.ceil(x.max()), np.ceil(y.max())], 0, size).astype(int)
        window = slice(top, bottom), slice(left, right)
        found = scene.cast_rays(tensor(_rays(size)[window].copy()), nthreads=1)["primitive_ids"].numpy()
        hits[window] = found.astype(np.int32)  # Open3D's "none" is the largest uint32, which becomes -1
        return hits


def _as_deep_as_wide(screen: NDArray[np.float64], nearness: NDArray[np.float64], *, size: int) -> NDArray[np.float32]:
    """The vertices with ``nearness`` spread over 0…``size``: float32 must tell near from far whatever its unit."""
    low, high = nearness.min(), nearness.max()
    scaled = screen - (0, 0, low)
    scaled[:, 2] *= size / max(high - low, 1e-12)
    return scaled.astype(np.float32)


@lru_cache(maxsize=2)
def _rays(size: int) -> NDArray[np.float32]:
    """(size, size, 6) origins in front of everything, and directions away from the viewer."""
    rows, columns = np.indices((size, size)) + 0.5
    rays = np.zeros((size, size, 6), np.float32)
    rays[..., 0], rays[..., 1], rays[..., 2], rays[..., 5] = columns, rows, size + 1, -1
    return rays
