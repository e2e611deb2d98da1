"""Make the project's virtual environment: find a Python, install the system libraries that wheels lack, install.

Run by the Makefile with whatever ``python3`` there is; standard library only. A second run does nothing.

    python3 tools/set_up.py            # .venv with everything for use, tests and development
    python3 tools/set_up.py --check    # only say what is missing
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

VENV = ROOT / ".venv"
PYTHONS = ("python3.12", "python3.11", "python3")
TEST_PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver", "zsh": "zsh", "fish": "fish"}
"""What tests drive, and the Debian package that has it: a browser for the pages, shells for their completion."""


def say(text: str) -> None:
    """One line about what is being done."""
    print(f"set-up: {text}", flush=True)


def stop(text: str) -> NoReturn:
    """End with what is wrong and what to type."""
    sys.exit(f"set-up: {text}")


def version_of(python: str) -> tuple[int, int] | None:
    """(major, minor) of an interpreter, None where it does not run."""
    command = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        major, minor = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return int(major), int(minor)


def find_python() -> str:
    """The first interpreter of a version that all our wheels exist for."""
    candidates = [os.environ["PYTHON"]] if os.environ.get("PYTHON") else [*PYTHONS, sys.executable]
    for name in candidates:
        path = shutil.which(name)
        if path and version_of(path) in {(3, 11), (3, 12)}:
            return path
    stop(f"Python 3.11 or 3.12 is needed (MediaPipe has no wheel for others); tried {', '.join(candidates)}")


def install_packages(line: str, *, why: str, required: bool) -> None:
    """Run an apt line where we may; otherwise stop (required) or go on (optional), showing the line to type."""
    may = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if may:
        say(f"{why}: {line}")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NOWARNINGS": "yes"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
        if subprocess.run([*line.split(), "-qq"], env=quiet, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            return
    text = f"{why}. Type:\n    sudo {line}\nand run the same command again."
    if required:
        stop(text)
    say(f"{text} (optional: what needs it is skipped)")


def provide_system_libraries() -> None:
    """Install what the wheels expect from the system."""
    from fer_prep.cli.system_libraries import apt_line, missing_libraries

    missing = missing_libraries()
    if missing:
        names = ", ".join(f"{lib.soname} ({lib.needed_by})" for lib in missing)
        install_packages(apt_line(missing), why=f"missing system libraries: {names}", required=True)


def provide_test_programs() -> None:
    """Install the programs that only tests need."""
    missing = [package for program, package in TEST_PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        line = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
        install_packages(line, why=f"tests want {', '.join(missing)}", required=False)


def inputs_digest() -> str:
    """Digest of what the environment depends on: a changed pin makes a new installation."""
    hasher = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        hasher.update((ROOT / name).read_bytes())
    return hasher.hexdigest()


def conflict_in(log: Path) -> str:
    """What pip says about versions that exclude each other, which ``--quiet`` hides; '' where there is nothing.

    The usual cause is a constraint in the machine's own pip configuration.
    """
    lines = [line.split(" ", 1)[-1].rstrip() for line in log.read_text(errors="replace").splitlines()]
    starts = [number for number, line in enumerate(lines) if "The conflict is caused by" in line]
    if not starts:
        return ""
    found = [line.strip() for line in lines[starts[-1] + 1 :][:6] if line.strip()]
    return "\nVersions that exclude each other (see also `pip config list`):\n    " + "\n    ".join(found)


def provide_environment() -> None:
    """Create ``.venv`` and install the project in it, once per state of the pins."""
    stamp = VENV / ".installed"
    if stamp.is_file() and stamp.read_text() == inputs_digest():
        return
    python = find_python()
    if not (VENV / "bin" / "pip").exists():
        say(f"making {VENV.name} with {python}")
        made = subprocess.run([python, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            major, minor = version_of(python) or (3, 11)
            stop(
                f"{python} cannot make virtual environments: "
                f"{(made.stdout + made.stderr).strip().splitlines()[0]}\n"
                f"Type:\n    sudo apt-get install -y python{major}.{minor}-venv\nand run the same command again."
            )
    say("installing fer-rgbd and its tested dependencies (a few minutes, about 8 GB)")
    log = VENV / "pip.log"
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--log", str(log)]
    pip += ["install", "--quiet"]
    # Debian's pip 23.0 builds PyOpenGL the legacy way and warns at length
    subprocess.run([*pip, "--upgrade", "pip"], check=False)
    constraints = ["-c", str(ROOT / "constraints.txt")]
    done = subprocess.run([*pip, *constraints, "-e", f"{ROOT}[dev]"], check=False)
    if done.returncode != 0:
        stop(
            f"pip could not install the dependencies; its message stands above.{conflict_in(log)}\n"
            f"The whole of it is in {log}. The same command tries again."
        )
    stamp.write_text(inputs_digest())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is missing; exit 1 if anything is")
    parser.add_argument("--for-tests", action="store_true", help="also provide the browser and the shells of the tests")
    arguments = parser.parse_args()
    if arguments.check:
        from fer_prep.cli.system_libraries import apt_line, missing_libraries

        missing = missing_libraries()
        if missing:
            stop(f"missing: sudo {apt_line(missing)}")
        say("all required system libraries are here")
        return
    provide_system_libraries()
    if arguments.for_tests:
        provide_test_programs()
    provide_environment()


if __name__ == "__main__":
    main()
