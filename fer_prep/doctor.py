"""Which parts of fer-prep work on this machine, and the one line that mends each part that does not.

Every probe really uses the part (imports it, casts a ray, finds a face model), in a process of its own where a
broken library could take the program down with it.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_prep.resources import tested_versions
from fer_prep.system_libraries import SYSTEM_LIBRARIES, apt_line

MIN_FREE_DISK_GB: Final = 10.0
"""The Global dataset is 4.1 GB; its prepared folders take about as much again."""
PROBE_SECONDS: Final = 120

PACKAGES: Final = (
    "numpy",
    "h5py",
    "opencv-contrib-python",
    "isal",
    "mediapipe",
    "open3d-cpu",
    "trimesh",
    "embreex",
    "pyrender",
)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One line of the doctor's table; ``mend`` is a command, empty where all is well."""

    part: str
    ok: bool
    found: str
    mend: str = ""
    required: bool = True


def examine(*, folder: Path) -> list[Diagnosis]:
    """Examine the machine; ``folder`` is where the data would be written."""
    return [
        _python(),
        *_packages(),
        _single_opencv(),
        *_system_libraries(),
        *_renderers(),
        _mediapipe(),
        _memory(),
        *_disk(folder),
    ]


def _python() -> Diagnosis:
    version = ".".join(map(str, sys.version_info[:3]))
    return Diagnosis(
        part="Python",
        ok=sys.version_info[:2] in {(3, 11), (3, 12)},
        found=version,
        mend="make a virtual environment with Python 3.11 or 3.12 (MediaPipe has no wheel for others)",
    )


def _packages() -> Iterator[Diagnosis]:
    tested = tested_versions()
    for name in PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Diagnosis(part=name, ok=False, found="not installed", mend="pip install 'fer-rgbd[prep]'")
            continue
        wanted = tested.get(name, version)
        same = version == wanted
        note = version if same else f"{version}, tested with {wanted}"
        yield Diagnosis(
            part=name, ok=same, found=note, mend="" if same else f"pip install {name}=={wanted}", required=False
        )


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
        mend=f"pip uninstall -y {' '.join(names)} && pip install opencv-contrib-python" if extra else "",
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
    from fer_prep.geometry.renderers import probe_renderers

    for name, problem in probe_renderers().items():
        yield Diagnosis(
            part=f"renderer {name}", ok=not problem, found=problem or "casts a test ray rightly", required=False
        )


def _mediapipe() -> Diagnosis:
    code = (
        "import numpy, mediapipe as mp\n"
        "mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)\n"
        "mesh.process(numpy.zeros((64, 64, 3), numpy.uint8))\n"
    )
    probe = _run_python(code)
    ok = probe is None
    return Diagnosis(
        part="landmarks mediapipe",
        ok=ok,
        found="face model in the wheel runs" if ok else str(probe),
        mend="" if ok else "pip install mediapipe==0.10.14 (later wheels carry no face model)",
    )


def _run_python(code: str) -> str | None:
    """Run code in a fresh interpreter; None when it succeeds, else the last line it said."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"ended with code {done.returncode}"


def _memory() -> Diagnosis:
    pages, page_bytes = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free_gb = pages * page_bytes / 1e9
    cores = os.cpu_count() or 1
    return Diagnosis(
        part="memory",
        ok=free_gb > cores,
        found=f"{free_gb:.1f} GB free for {cores} workers of up to 1 GB",
        mend="" if free_gb > cores else f"use --workers {max(1, int(free_gb))}",
        required=False,
    )


def _disk(folder: Path) -> Iterator[Diagnosis]:
    free_gb = shutil.disk_usage(folder).free / 1e9
    yield Diagnosis(
        part="disk",
        ok=free_gb > MIN_FREE_DISK_GB,
        found=f"{free_gb:.0f} GB free in {folder}",
        mend="" if free_gb > MIN_FREE_DISK_GB else "choose another disk with --out",
        required=False,
    )
    try:
        rate = _write_rate(folder)
    except OSError as error:
        yield Diagnosis(
            part="writing", ok=False, found=str(error), mend=f"choose a folder you may write to, not {folder}"
        )
    else:
        yield Diagnosis(part="writing", ok=True, found=f"{rate:.0f} MB/s, synced")


def _write_rate(folder: Path, *, megabytes: int = 32) -> float:
    """MB/s of one synced sequential write."""
    path = folder / f".fer-prep-doctor-{os.getpid()}"
    block = os.urandom(1 << 20)
    start = time.perf_counter()
    try:
        with path.open("wb") as stream:
            for _ in range(megabytes):
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        return megabytes / (time.perf_counter() - start)
    finally:
        path.unlink(missing_ok=True)
