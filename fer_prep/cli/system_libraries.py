"""The shared libraries that wheels expect from the system, and the Debian package that brings each.

Standard library only: the set-up runs this before anything is installed, ``doctor`` after.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class SystemLibrary:
    """One shared object, who needs it, and its Debian package."""

    soname: str
    package: str
    needed_by: str
    required: bool = True

    def loads(self) -> bool:
        """True when the dynamic linker finds the library here."""
        try:
            ctypes.CDLL(self.soname)
        except OSError:
            return False
        return True


SYSTEM_LIBRARIES: Final = (
    SystemLibrary("libGL.so.1", "libgl1", "OpenCV, MediaPipe"),
    SystemLibrary("libEGL.so.1", "libegl1", "Open3D, pyrender"),
    SystemLibrary("libgthread-2.0.so.0", "libglib2.0-0", "OpenCV, MediaPipe"),
    SystemLibrary("libusb-1.0.so.0", "libusb-1.0-0", "Open3D"),
    SystemLibrary("libXrender.so.1", "libxrender1", "pyrender", required=False),
    SystemLibrary("libEGL_mesa.so.0", "libegl-mesa0 libgl1-mesa-dri", "pyrender without a GPU", required=False),
)


def missing_libraries(*, required_only: bool = True) -> list[SystemLibrary]:
    """The libraries of the table that this machine lacks."""
    return [lib for lib in SYSTEM_LIBRARIES if (lib.required or not required_only) and not lib.loads()]


def apt_line(libraries: Iterable[SystemLibrary]) -> str:
    """The one line that installs them on Debian or Ubuntu.

    >>> apt_line([SystemLibrary("libGL.so.1", "libgl1", "OpenCV")])
    'apt-get install -y --no-install-recommends libgl1'
    """
    packages = " ".join(lib.package for lib in libraries)
    return f"apt-get install -y --no-install-recommends {packages}"
