"""Which triangle does each pixel see? One small seam, three back ends.

A back end works on the screen, where a camera has put the vertices: x and y in pixels, and a nearness that is linear
over every triangle. It answers with triangle *indices* only; what is there is then computed from the triangle's own
corners in float64 (:mod:`fer_prep.geometry.hits`), so that all back ends agree wherever they see the same triangle.

Open3D is the default everywhere; ``numpy`` is for machines without its system libraries, ``opengl`` for those with a
graphics card.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import InstallationError, UsageError, did_you_mean

NO_TRIANGLE: Final = -1
DEFAULT_RENDERER: Final = "open3d"


class Renderer(Protocol):
    """Finds the nearest triangle behind every pixel."""

    name: str

    def first_hits(self, screen: NDArray[np.float64], *, faces: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, ``NO_TRIANGLE`` where there is none.

        ``screen`` (V, 3): x, y in continuous pixels, and the nearness, larger = nearer; ``faces`` (F, 3) of its rows.
        """
        ...


RENDERERS: Final[Mapping[str, str]] = {
    "open3d": "open3d_renderer:Open3dRenderer",
    "numpy": "numpy_renderer:NumpyRenderer",
    "opengl": "opengl_renderer:OpenGlRenderer",
}
"""Name → what makes the back end, imported when it is asked for."""

INSTALL_HINTS: Final[Mapping[str, str]] = {
    "open3d": "pip install 'fer-rgbd[prep]'; on a slim machine also: apt-get install libgl1 libegl1 libusb-1.0-0; "
    "--renderer numpy needs none of them",
    "numpy": "pip install --force-reinstall numpy",
    "opengl": "pip install pyrender; system libraries: apt-get install libegl1 libgl1-mesa-dri libxrender1",
}


@cache
def _working(name: str) -> Renderer | str:
    """The back end if it renders a probe rightly on this machine, or else the reason why not; found out once."""
    try:
        module, _, maker = RENDERERS[name].partition(":")
        renderer: Renderer = getattr(import_module(f"{__name__}.{module}"), maker)()
        wrong = _probe(renderer)
    except Exception as error:  # third-party start-up fails in any way it likes: all of them mean "not usable here"
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return wrong or renderer


def _probe(renderer: Renderer) -> str:
    """Render a triangle before another one and say what is wrong with the outcome; empty when nothing is."""
    screen = np.array([[0, 8, 0], [8, 8, 0], [0, 0, 0], [2, 7, 5], [7, 7, 5], [2, 2, 5]], np.float64)
    hits = renderer.first_hits(screen, faces=np.arange(6, dtype=np.int32).reshape(2, 3), size=8)
    seen = (int(hits[7, 0]), int(hits[5, 3]), int(hits[0, 7]))
    return "" if seen == (0, 1, NO_TRIANGLE) else f"a probe rendered wrongly: expected (0, 1, -1), found {seen}"


def probe_renderers() -> dict[str, str]:
    """Name → why the back end cannot be used here, empty where it can."""
    found = {name: _working(name) for name in RENDERERS}
    return {name: value if isinstance(value, str) else "" for name, value in found.items()}


def choose_renderer(name: str = DEFAULT_RENDERER) -> Renderer:
    """The back end called ``name``; UsageError: there is none, InstallationError: it cannot work here."""
    if name not in RENDERERS:
        raise UsageError(f"no renderer called {name!r}; {did_you_mean(name, RENDERERS)}")
    found = _working(name)
    if isinstance(found, str):
        raise InstallationError(f"the renderer {name!r} cannot be used here ({found})", hint=INSTALL_HINTS[name])
    return found
