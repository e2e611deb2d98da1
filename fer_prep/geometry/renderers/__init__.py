"""Which triangle does each pixel see? One small seam, four back ends.

A back end answers with triangle *indices* only; heights and texture coordinates are then computed from the triangle's
own corners in float64 (:mod:`fer_prep.geometry.hits`), so that all back ends agree to rounding wherever they see the
same triangle, whatever the precision they search in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import UsageError
from fer_prep.geometry.camera import AffineCamera, Camera
from fer_prep.geometry.mesh import TriangleMesh

NO_TRIANGLE: Final = -1


class Renderer(Protocol):
    """Finds the nearest triangle on the ray of every pixel."""

    name: str

    def first_hits(self, mesh: TriangleMesh, *, camera: Camera, size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, ``NO_TRIANGLE`` where there is none."""
        ...


def _numpy() -> Renderer:
    from fer_prep.geometry.renderers.numpy_renderer import NumpyRenderer

    return NumpyRenderer()


def _open3d() -> Renderer:
    from fer_prep.geometry.renderers.open3d_renderer import Open3dRenderer

    return Open3dRenderer()


def _embree() -> Renderer:
    from fer_prep.geometry.renderers.embree_renderer import EmbreeRenderer

    return EmbreeRenderer()


def _opengl() -> Renderer:
    from fer_prep.geometry.renderers.opengl_renderer import OpenGlRenderer

    return OpenGlRenderer()


RENDERERS: Final[Mapping[str, Callable[[], Renderer]]] = {
    "numpy": _numpy,
    "open3d": _open3d,
    "embree": _embree,
    "opengl": _opengl,
}
"""In the order in which ``auto`` tries them; measured in ``benchmarks/render.py``."""

INSTALL_HINTS: Final[Mapping[str, str]] = {
    "numpy": "pip install --force-reinstall numpy",
    "open3d": "pip install 'fer-rgbd[prep]'; on a slim machine also: apt-get install libgl1 libegl1 libusb-1.0-0",
    "embree": "pip install trimesh embreex",
    "opengl": "pip install pyrender; system libraries: apt-get install libegl1 libgl1-mesa-dri libxrender1",
}


@cache
def _working(name: str) -> Renderer | str:
    """The back end if it renders a probe rightly on this machine, or else the reason why not; found out once."""
    try:
        renderer = RENDERERS[name]()
        wrong = _probe(renderer)
    except Exception as error:  # third-party start-up fails in any way it likes: all of them mean "not usable here"
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return wrong or renderer


def _probe(renderer: Renderer) -> str:
    """Render a triangle before another one and say what is wrong with the outcome; empty when nothing is."""
    vertices = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [2, 1, 5], [7, 1, 5], [2, 6, 5]], np.float64)
    mesh = TriangleMesh(vertices_mm=vertices, faces=np.arange(6, dtype=np.int32).reshape(2, 3))
    camera = AffineCamera.frontal(left_mm=0.0, top_mm=8.0, mm_per_pixel=1.0)
    hits = renderer.first_hits(mesh, camera=camera, size=8)
    seen = (int(hits[7, 0]), int(hits[5, 3]), int(hits[0, 7]))
    return "" if seen == (0, 1, NO_TRIANGLE) else f"a probe rendered wrongly: expected (0, 1, -1), found {seen}"


def probe_renderers() -> dict[str, str]:
    """Name → why the back end cannot be used here, empty where it can; in order of preference."""
    found = {name: _working(name) for name in RENDERERS}
    return {name: value if isinstance(value, str) else "" for name, value in found.items()}


def choose_renderer(name: str = "auto") -> Renderer:
    """The back end called ``name``, or with ``auto`` the first one that works on this machine."""
    if name != "auto" and name not in RENDERERS:
        raise UsageError(f"no renderer called {name!r}; known: auto, {', '.join(RENDERERS)}")
    reasons: dict[str, str] = {}
    for candidate in RENDERERS if name == "auto" else [name]:
        found = _working(candidate)
        if not isinstance(found, str):
            return found
        reasons[candidate] = found
    why = "; ".join(f"{key}: {reason}" for key, reason in reasons.items())
    raise UsageError(f"the renderer {name!r} cannot be used here ({why})", hint=INSTALL_HINTS.get(name, ""))
