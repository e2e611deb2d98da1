"""Findings about a machine that both ``doctor`` commands share: Python, packages, memory, disk; and how they look.

Probes of libraries run in a process of their own: a broken one can take its process down with it.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import typer
from rich.markup import escape

from fer_prep.cli.console import EXIT_DATA_WRONG, console, print_json, print_table, say
from fer_prep.free_memory import free_memory_bytes
from fer_prep.resources import tested_versions

PROBE_SECONDS: Final = 120
MIN_FREE_DISK_GB: Final = 10.0
"""The Global dataset is 4.1 GB; its prepared folders take about as much again."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One line of the doctor's table; ``mend`` is the command for a part that is not ``ok``."""

    part: str
    ok: bool
    found: str
    mend: str = ""
    required: bool = True


def python_version() -> Diagnosis:
    """Python against the versions that the wheels of all parts exist for."""
    ok = sys.version_info[:2] in {(3, 11), (3, 12)}
    found = ".".join(map(str, sys.version_info[:3])) + ("" if ok else ", expected 3.11 or 3.12")
    mend = "python3.12 -m venv .venv && .venv/bin/pip install 'fer-rgbd[all]'"
    return Diagnosis(part="Python", ok=ok, found=found, mend=mend)


def packages(extra: str = "", *, required: bool = True) -> Iterator[Diagnosis]:
    """The packages of an extra (empty: of every installation) against the versions this release was tested with."""
    for name in _packages_of(extra):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            mend = f"{pip()} install 'fer-rgbd[{extra or 'all'}]'"
            yield Diagnosis(part=name, ok=False, found="not installed", mend=mend, required=required)
            continue
        tested = tested_versions().get(name.lower(), version)
        same = version.partition("+")[0] == tested.partition("+")[0]  # 2.6.0+cpu is 2.6.0
        found = version if same else f"{version}, tested with {tested}"
        mend = f"{pip()} install {name}=={tested}"
        yield Diagnosis(part=name, ok=same, found=found, mend=mend, required=False)


def _packages_of(extra: str) -> list[str]:
    """The names behind an extra in this package's own metadata."""
    lines = [line.replace('"', "'") for line in importlib.metadata.requires("fer-rgbd") or ()]
    of_extra = [line for line in lines if (f"extra == '{extra}'" in line if extra else ";" not in line)]
    return [re.split(r"[^\w.-]", line)[0] for line in of_extra]


def pip() -> str:
    """The pip of this Python, as one types it here."""
    return f"{Path(sys.executable).parent / 'pip'}" if sys.prefix != sys.base_prefix else "python3 -m pip"


def run_python(code: str) -> tuple[bool, str]:
    """Run code in a fresh interpreter; whether it succeeded, and the last line it said."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {PROBE_SECONDS} s"
    ok = done.returncode == 0
    lines = (done.stdout if ok else done.stderr).strip().splitlines()
    return ok, lines[-1] if lines else ("" if ok else f"ended with code {done.returncode}")


def memory(*, needed_gb: float, needed_for: str, mend: str) -> Diagnosis:
    """Memory that is free for this process, inside a container what its limit leaves."""
    free_gb = free_memory_bytes() / 1e9
    found = f"{free_gb:.1f} GB free {needed_for}"
    return Diagnosis(part="memory", ok=free_gb > needed_gb, found=found, mend=mend, required=False)


def disk(folder: Path) -> Iterator[Diagnosis]:
    """Room in a folder, and whether it may be written to."""
    place = folder.resolve()
    free_gb = shutil.disk_usage(place).free / 1e9
    enough = free_gb > MIN_FREE_DISK_GB
    found = f"{free_gb:.0f} GB free in {place}" + ("" if enough else f", {MIN_FREE_DISK_GB:.0f} advised")
    mend = "df -h  # choose a disk with more room, and work there or name it with --out"
    yield Diagnosis(part="disk", ok=enough, found=found, mend=mend, required=False)
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        mend = f"sudo chown -R \"$USER\" '{place}'"
        yield Diagnosis(part="writing", ok=False, found=f"{place}: {error.strerror}", mend=mend)


def show(findings: Sequence[Diagnosis], *, as_json: bool) -> None:
    """Print the findings, the commands that mend below them in full, and exit with 1 if a required part fails."""
    failed = [finding for finding in findings if not finding.ok]
    if as_json:
        print_json([replace(finding, mend="") if finding.ok else finding for finding in findings])
    else:
        print_table("On this machine", ("", "part", "found"), [(_mark(f), f.part, f.found) for f in findings])
        if failed:
            say("\nTo mend it:")
        for finding in failed:
            console.print(f"  {escape(finding.part)}: [bold]{escape(finding.mend)}[/]", soft_wrap=True)
    if any(finding.required for finding in failed):
        raise typer.Exit(EXIT_DATA_WRONG)


def _mark(finding: Diagnosis) -> str:
    if finding.ok:
        return "ok"
    return "wrong" if finding.required else "could be better"
