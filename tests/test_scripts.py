"""The scripts beside the programs fit them: each can be imported, and the shell ones parse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "tools")

RUNNER = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="imported")
"""


def scripts(pattern: str) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in sorted((ROOT / folder).glob(pattern))]


def test_python_scripts_import_what_there_is():
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *scripts("*.py")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_shell_scripts_parse():
    for script in [*scripts("*.sh"), "docker/try-images.sh", "docker/try-in-minimal-debian.sh"]:
        subprocess.run(["sh", "-n", ROOT / script], check=True)
