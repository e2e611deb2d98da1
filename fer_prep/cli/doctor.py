"""Which parts of fer-prep work on this machine, and the one line that mends each part that does not.

Every probe really uses the part: imports it, casts a ray, finds a face model.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from fer_prep.cli.app import app
from fer_prep.cli.diagnosis import Diagnosis, disk, memory, packages, pip, python_version, run_python, show
from fer_prep.cli.options import JsonOption
from fer_prep.cli.system_libraries import SYSTEM_LIBRARIES, apt_line
from fer_prep.free_memory import free_memory_bytes
from fer_prep.geometry.renderers import INSTALL_HINTS, probe_renderers

MEDIAPIPE: Final = "0.10.14"
"""The last wheel with the face models inside."""
WORKER_GB: Final = 1.0


@app.command(rich_help_panel="Workspace")
def doctor(
    folder: Annotated[Path, typer.Argument(help="Where data would be written.", file_okay=False, exists=True)] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Show which parts work on this machine, and the one line that mends each that does not.

    Exit code 1 when a required part does not work.

    [dim]fer-prep doctor[/]

    [dim]fer-prep doctor /data --json | jq '.[] | select(.ok == false)'[/]
    """
    show(examine(folder=folder), as_json=as_json)


def examine(*, folder: Path) -> list[Diagnosis]:
    """Examine the machine; ``folder`` is where the data would be written."""
    return [
        python_version(),
        *packages(),
        *packages("prep"),
        *packages("compression", required=False),
        _single_opencv(),
        *_system_libraries(),
        *_renderers(),
        _mediapipe(),
        _memory(),
        *disk(folder),
    ]


def _single_opencv() -> Diagnosis:
    installed = importlib.metadata.distributions()
    names = sorted({dist.name for dist in installed if (dist.name or "").startswith("opencv-")})
    # removing one distribution deletes files of the other: install again afterwards
    mend = f"{pip()} uninstall -y {' '.join(names)} && {pip()} install opencv-contrib-python"
    ok = not set(names) - {"opencv-contrib-python"}
    return Diagnosis(part="one OpenCV", ok=ok, found=", ".join(names) or "none", mend=mend)


def _system_libraries() -> Iterator[Diagnosis]:
    for library in SYSTEM_LIBRARIES:
        ok = library.loads()
        found = f"{'found' if ok else 'missing'} (for {library.needed_by})"
        mend = f"sudo {apt_line([library])}"
        yield Diagnosis(part=library.soname, ok=ok, found=found, mend=mend, required=library.required)


def _renderers() -> Iterator[Diagnosis]:
    """One that works is enough, if it is named."""
    problems = probe_renderers()
    for name, problem in problems.items():
        found = problem or "casts a test ray rightly"
        mend, none_works = INSTALL_HINTS[name], all(problems.values())
        yield Diagnosis(part=f"renderer {name}", ok=not problem, found=found, mend=mend, required=none_works)


def _mediapipe() -> Diagnosis:
    ok, said = run_python(
        "import numpy, mediapipe as mp\n"
        "mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)\n"
        "mesh.process(numpy.zeros((64, 64, 3), numpy.uint8))\n"
    )
    found = "the face model in the wheel runs" if ok else said
    return Diagnosis(part="landmarks mediapipe", ok=ok, found=found, mend=f"{pip()} install mediapipe=={MEDIAPIPE}")


def _memory() -> Diagnosis:
    workers = os.cpu_count() or 1
    fit = max(1, int(free_memory_bytes() / 1e9 / WORKER_GB))
    return memory(
        needed_gb=WORKER_GB * workers,
        needed_for=f"for {workers} workers of up to {WORKER_GB:.0f} GB",
        mend=f"echo 'workers = {fit}' >> fer.toml",
    )
