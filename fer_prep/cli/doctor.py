"""Which parts of fer-prep work on this machine, and the one line that mends each part that does not.

Every probe really uses the part: imports it, casts a ray, finds a face model.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fer_prep.cli.diagnosis import (
    Diagnosis,
    disk,
    memory,
    packages,
    pip,
    python_version,
    run_python,
)
from fer_prep.cli.system_libraries import SYSTEM_LIBRARIES, apt_line
from fer_prep.free_memory import free_memory_bytes

PACKAGES: Final = (
    "numpy",
    "h5py",
    "pillow",
    "opencv-contrib-python",
    "mediapipe",
    "open3d-cpu",
    "trimesh",
    "embreex",
    "pyrender",
    "scipy",
    "matplotlib",
)
MEDIAPIPE: Final = "0.10.14"
"""The last wheel with the face models inside."""
WORKER_GB: Final = 1.0


def examine(*, folder: Path) -> list[Diagnosis]:
    """Examine the machine; ``folder`` is where the data would be written."""
    return [
        python_version(),
        *packages(PACKAGES, extra="prep"),
        *packages(("hdf5plugin",), extra="compression", required=False),
        _single_opencv(),
        *_system_libraries(),
        *_renderers(),
        _mediapipe(),
        _memory(),
        *disk(folder),
    ]


def _single_opencv() -> Diagnosis:
    names = sorted(
        {dist.name for dist in importlib.metadata.distributions() if (dist.name or "").startswith("opencv-")}
    )
    extra = [name for name in names if name != "opencv-contrib-python"]
    return Diagnosis(
        part="one OpenCV",
        ok=not extra,
        found=", ".join(names) or "none",
        # removing one distribution deletes files of the other: install again afterwards
        mend=f"{pip()} uninstall -y {' '.join(names)} && {pip()} install opencv-contrib-python" if extra else "",
    )


def _system_libraries() -> Iterator[Diagnosis]:
    for library in SYSTEM_LIBRARIES:
        loads = library.loads()
        yield Diagnosis(
            part=library.soname,
            ok=loads,
            found=f"{'found' if loads else 'missing'} (for {library.needed_by})",
            mend="" if loads else f"sudo {apt_line([library])}",
            required=library.required,
        )


def _renderers() -> Iterator[Diagnosis]:
    """One that works is enough; ``auto`` takes the first."""
    from fer_prep.geometry.renderers import INSTALL_HINTS, probe_renderers

    found = probe_renderers()
    none_works = all(found.values())
    for name, problem in found.items():
        yield Diagnosis(
            part=f"renderer {name}",
            ok=not problem,
            found=problem or "casts a test ray rightly",
            mend=INSTALL_HINTS[name] if problem else "",
            required=none_works,
        )


def _mediapipe() -> Diagnosis:
    ok, said = run_python(
        "import numpy, mediapipe as mp\n"
        "mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)\n"
        "mesh.process(numpy.zeros((64, 64, 3), numpy.uint8))\n"
    )
    return Diagnosis(
        part="landmarks mediapipe",
        ok=ok,
        found="the face model in the wheel runs" if ok else said,
        mend="" if ok else f"{pip()} install mediapipe=={MEDIAPIPE}",
    )


def _memory() -> Diagnosis:
    workers = os.cpu_count() or 1
    fit = max(1, int(free_memory_bytes() / 1e9 / WORKER_GB))
    return memory(
        needed_gb=WORKER_GB * workers,
        needed_for=f"for {workers} workers of up to {WORKER_GB:.0f} GB",
        mend=f"echo 'workers = {fit}' >> fer.toml",
    )
