"""What is installed works: the wheel carries the manifests."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fer_prep import resources
from fer_prep.resources import manifest_file

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_an_installed_wheel_finds_its_manifests_from_another_folder(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import fer_prep.resources as r\n"
        f"assert str(r.__file__).startswith({str(site)!r}), r.__file__\n"
        "print(r.manifest_file('', 'bu3dfe'), r.manifest_file('policies', 'thesis-3.8'),"
        " r.manifest_file('protocols', 'subject-kfold'), len(r.tested_versions()))"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=elsewhere, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == len(resources.tested_versions())


def test_manifests_are_found_in_a_checkout():
    assert manifest_file("", "bosphorus").parent == ROOT / "manifests"


def test_constraints_pin_versions_without_addresses():
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line) for line in lines)
