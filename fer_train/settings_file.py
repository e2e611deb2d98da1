"""Settings as TOML: presets in, the resolved settings out, ``section.key=value`` on top, strictly typed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w

from fer_prep.errors import UsageError
from fer_prep.resources import manifest_names, manifests_folder
from fer_prep.validated import checked, flatten, nearest, read_toml
from fer_train.config import Config


def preset_names() -> list[str]:
    """The presets this installation has: the files of ``manifests/presets``."""
    return manifest_names("presets")


def load_preset(name: str) -> Config:
    """The settings of a preset, by name or by the path of a TOML file."""
    if name.endswith(".toml"):
        return read_config(Path(name))
    if name not in preset_names():
        raise UsageError(f"no preset called {name!r}; {nearest(name, preset_names())}")
    return read_config(manifests_folder() / "presets" / f"{name}.toml")


def read_config(path: Path) -> Config:
    """Read a TOML file of settings; what it does not mention keeps its default."""
    try:
        return checked(Config, read_toml(path, error=UsageError), error=UsageError)
    except FileNotFoundError:
        raise UsageError("no such file of settings", path=path) from None
    except UsageError as error:
        raise UsageError(error.message, path=path, hint=error.hint) from None


def config_to_toml(config: Config) -> str:
    """The resolved settings as TOML text: every key, defaults included."""
    return tomli_w.dumps(asdict(config))


def override(config: Config, assignments: Mapping[str, Any]) -> Config:
    """The same settings with ``{"section.key": value}`` put in place of theirs."""
    values = asdict(config)
    for key, value in assignments.items():
        known = [name for name, _ in flatten(values)]
        if key not in known:
            raise UsageError(f"no setting called {key!r}; {nearest(key, known)}")
        section, _, name = key.rpartition(".")
        (values[section] if section else values)[name] = value
    return checked(Config, values, error=UsageError)


def parse_assignment(text: str) -> tuple[str, Any]:
    """``section.key=value``, the value written as in TOML (a bare word is text) → (key, value).

    >>> parse_assignment("training.epochs=20")
    ('training.epochs', 20)
    """
    key, separator, value = (part.strip() for part in text.partition("="))
    if not separator:
        raise UsageError(f"{text!r}: expected section.key=value, for example training.epochs=20")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def differences(old: Config, new: Config, *, ignore: Iterable[str] = ("machine", "name")) -> list[str]:
    """One line for every setting whose value differs: ``training.epochs: 10 there, 20 here``."""
    ignored = set(ignore)
    there, here = dict(flatten(asdict(old))), dict(flatten(asdict(new)))
    return [
        f"{key}: {there[key]!r} there, {here[key]!r} here"
        for key in here
        if key.split(".")[0] not in ignored and there[key] != here[key]
    ]
