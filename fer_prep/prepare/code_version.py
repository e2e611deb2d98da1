"""Which code makes the pixels: a digest, so that output of older code is never taken for up to date."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from fer_prep.digests import file_digest, settings_digest

PIXEL_PACKAGES: Final = ("formats", "geometry", "faces", "prepare", "sources")
"""Packages of fer_prep every sample passes through."""
PIXEL_MODULES: Final = ("depth_encoding", "landmark_names", "landmark_set", "resample", "sample")
LIBRARIES: Final = (
    "numpy",
    "scipy",
    "opencv-contrib-python",
    "pillow",
    "mediapipe",
    "open3d-cpu",
    "open3d",
    "trimesh",
    "pyrender",
)
"""Distributions whose version can change a pixel."""


def code_version(source: Any) -> str:
    """Digest of this package's code that makes pixels, of ``source``'s own module, and of the libraries' versions."""
    module = inspect.getsourcefile(type(source))
    own = file_digest(Path(module)) if module else ""
    return settings_digest({"code": _package_digest(), "source": own, "libraries": _library_versions()})


@cache
def _package_digest() -> str:
    package = Path(__file__).parents[1]
    files = [file for name in PIXEL_PACKAGES for file in (package / name).rglob("*.py")]
    files += [package / f"{name}.py" for name in PIXEL_MODULES]
    return settings_digest({file.relative_to(package).as_posix(): file_digest(file) for file in files})


def _library_versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = ""
    return versions
