"""What is released works: sdist and wheel, installed into a clean environment and used from another folder."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from fer_prep import __version__, resources
from fer_prep.resources import manifest_file

ROOT = Path(__file__).resolve().parents[1]

COMES_WITH = {
    "OpenGL": "pyrender",
    "dask": "distributed",
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "torchvision": "timm",
}
"""Imported packages that a declared one cannot be without."""


def build(folder: Path, source: Path) -> dict[str, Path]:
    """``sdist`` and ``wheel`` of a source tree, built as a release is, without network."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, check=True, cwd=source, capture_output=True)
    return {"sdist": next(folder.glob("*.tar.gz")), "wheel": next(folder.glob("*.whl"))}


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("dist"), ROOT)


@pytest.fixture(scope="module")
def installed(release, tmp_path_factory) -> Path:
    """The bin folder of a new environment that has our wheel, and sees the dependencies of this one by path."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    command = [sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet", "--no-deps"]
    subprocess.run([*command, str(release["wheel"])], check=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def call(installed: Path, *words: str, cwd: Path) -> str:
    """Run an installed program in another folder, with nothing of this checkout on the path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    done = subprocess.run(
        [installed / words[0], *words[1:]], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_installed_programs_tell_their_version(installed, tmp_path):
    for program in ("fer-prep", "fer-train"):
        assert call(installed, program, "--version", cwd=tmp_path).strip() == f"{program} {__version__}"


@pytest.mark.slow
def test_installed_modules_find_their_manifests(installed, tmp_path):
    code = (
        "import fer_prep, fer_prep.resources as r\n"
        "print(fer_prep.__file__, r.manifest_file('', 'bu3dfe'), r.manifest_file('policies', 'thesis-3.8'),"
        " r.manifest_file('protocols', 'subject-kfold'), len(r.tested_versions()))"
    )
    module, *files, versions = call(installed, "python", "-c", code, cwd=tmp_path).split()
    environment = str(installed.parent)
    assert [path for path in (module, *files) if not path.startswith(environment)] == []
    assert int(versions) == len(resources.tested_versions())


@pytest.mark.slow
def test_installed_packages_say_that_they_have_types(installed, tmp_path):
    code = "import fer_prep, fer_train; print(fer_prep.__path__[0], fer_train.__path__[0])"
    for folder in call(installed, "python", "-c", code, cwd=tmp_path).split():
        assert (Path(folder) / "py.typed").is_file()


@pytest.mark.slow
def test_installed_programs_make_and_prepare_sample_data(installed, tmp_path):
    call(installed, "fer-prep", "sample-data", "--subjects", "1", "--intensities", "4", cwd=tmp_path)
    call(installed, "fer-prep", "render-bu3dfe", "--size", "64", "--workers", "1", cwd=tmp_path)
    assert len(list((tmp_path / "data/prepared/bu3dfe/depth").glob("*.png"))) == 7
    assert "thesis" in call(installed, "fer-train", "presets", cwd=tmp_path)


@pytest.mark.slow
def test_the_sdist_alone_builds_the_same_wheel(release, tmp_path):
    with tarfile.open(release["sdist"]) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    again = build(tmp_path / "dist", source)["wheel"]
    contents = [
        {info.filename: info.CRC for info in zipfile.ZipFile(path).infolist() if not info.filename.endswith("RECORD")}
        for path in (release["wheel"], again)
    ]
    assert contents[0] == contents[1]
    assert "fer_prep/py.typed" in contents[0] or not (ROOT / "fer_prep" / "py.typed").exists()


def test_manifests_are_found_in_a_checkout():
    assert manifest_file("", "bosphorus").parent == ROOT / "manifests"


def test_constraints_pin_versions_without_addresses():
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line) for line in lines)


def test_changelog_citation_and_package_agree_on_the_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_every_package_that_is_imported_is_declared():
    """One that only this machine happens to have would be missing on the next."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    declared = {re.split(r"[\[<>=;! ~]", requirement)[0].lower().replace("_", "-") for requirement in wanted}
    homes = packages_distributions()
    undeclared = {}
    for path in [*(ROOT / "fer_prep").rglob("*.py"), *(ROOT / "fer_train").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in (dotted.split(".")[0] for dotted in names):
                if name in sys.stdlib_module_names or name in ("fer_prep", "fer_train"):
                    continue
                owners = {owner.lower().replace("_", "-") for owner in homes.get(name, [name])}
                if not (owners | {COMES_WITH.get(name, name)}) & declared:
                    undeclared[name] = path.name
    assert undeclared == {}
