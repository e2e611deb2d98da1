"""Where the files of ``manifests/`` are: beside the package in a checkout, inside it when installed as a wheel."""

from __future__ import annotations

from pathlib import Path

from fer_prep.errors import InstallationError, UsageError, did_you_mean


def manifests_folder() -> Path:
    """The folder that holds dataset manifests, label policies, protocols and experiments."""
    package = Path(__file__).resolve().parent
    for folder in (package / "manifests", package.parent / "manifests"):
        if folder.is_dir():
            return folder
    raise InstallationError("the manifests folder is missing", path=package, hint="reinstall fer-rgbd")


def manifest_file(kind: str, name: str, *, suffix: str = ".toml") -> Path:
    """The file ``manifests/<kind>/<name><suffix>``; an unknown name is an error that lists the known ones."""
    folder = manifests_folder() / kind if kind else manifests_folder()
    path = folder / f"{name}{suffix}"
    if not path.is_file():
        known = [p.stem for p in folder.glob(f"*{suffix}")]
        what = kind.replace("policies", "policy").removesuffix("s") or "dataset"
        raise UsageError(f"no {what} called {name!r}; {did_you_mean(name, known)}")
    return path


def manifest_names(kind: str) -> list[str]:
    """The names of the TOML files in ``manifests/<kind>``."""
    return sorted(path.stem for path in (manifests_folder() / kind).glob("*.toml"))


def tested_versions() -> dict[str, str]:
    """Package name → the exact version this release was tested with (from ``constraints.txt``)."""
    package = Path(__file__).resolve().parent
    for path in (package / "constraints.txt", package.parent / "constraints.txt"):
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            pins = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
            return {name.strip().lower().replace("_", "-"): version.strip() for name, version in pins}
    return {}
