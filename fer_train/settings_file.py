"""Settings as TOML: presets in, the resolved settings out, ``section.key=value`` on top, strictly typed."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from fer_prep.errors import UsageError
from fer_prep.resources import manifests_folder
from fer_train.config import Config, suggestion


def preset_names() -> list[str]:
    """The presets this installation has: the files of ``manifests/presets``."""
    return sorted(path.stem for path in (manifests_folder() / "presets").glob("*.toml"))


def load_preset(name: str) -> Config:
    """The settings of a preset, by name or by the path of a TOML file."""
    if name.endswith(".toml"):
        return read_config(Path(name))
    if name not in preset_names():
        raise UsageError(f"no preset called {name!r}; {_nearest(name, preset_names())}")
    return read_config(manifests_folder() / "presets" / f"{name}.toml")


def read_config(path: Path) -> Config:
    """Read a TOML file of settings; what it does not mention keeps its default."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the settings: {error.strerror}", path=path) from error
    try:
        return config_from_mapping(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", path=path) from error
    except UsageError as error:
        raise UsageError(error.message, path=path, hint=error.hint) from error


def config_to_toml(config: Config) -> str:
    """The resolved settings as TOML text: every key, defaults included."""
    return tomli_w.dumps(asdict(config))


def config_from_mapping(values: Mapping[str, Any]) -> Config:
    """Build a Config from nested mappings; refuses unknown keys and wrong types, naming the nearest known key."""
    return _build(Config, values, prefix="")


def override(config: Config, assignments: Mapping[str, Any]) -> Config:
    """The same settings with ``{"section.key": value}`` put in place of theirs."""
    values = asdict(config)
    for key, value in assignments.items():
        _assign(values, key, value)
    return config_from_mapping(values)


def parse_assignment(text: str) -> tuple[str, Any]:
    """``section.key=value``, the value written as in TOML (a bare word is text) → (key, value).

    >>> parse_assignment("training.epochs=20")
    ('training.epochs', 20)
    """
    key, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"{text!r}: expected section.key=value, for example training.epochs=20")
    return key.strip(), _parse_value(value.strip())


def differences(old: Config, new: Config, *, ignore: Iterable[str] = ("machine", "name")) -> list[str]:
    """One line for every setting whose value differs: ``training.epochs: 10 there, 20 here``."""
    ignored = set(ignore)
    there, here = dict(flatten(asdict(old))), dict(flatten(asdict(new)))
    return [
        f"{key}: {there[key]!r} there, {here[key]!r} here"
        for key in here
        if key.split(".")[0] not in ignored and there[key] != here[key]
    ]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``("section.key", value)`` for nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def rename(config: Config, name: str) -> Config:
    """The same settings under another run name."""
    return replace(config, name=name)


def _parse_value(text: str) -> Any:
    """A TOML value, or the text itself where it is not one."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assign(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set ``values[section][key]``; an unknown key is refused with the nearest known ones."""
    known = [key for key, _ in flatten(values)]
    if dotted not in known:
        raise UsageError(f"no setting called {dotted!r}; {_nearest(dotted, known)}")
    *sections, key = dotted.split(".")
    for section in sections:
        values = values[section]
    values[key] = value


def _build(kind: type, values: Mapping[str, Any], *, prefix: str) -> Any:
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"no setting called {prefix + key!r}; {_nearest(key, known)}")
        hint = hints[key]
        if isinstance(hint, type) and is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise UsageError(f"{prefix}{key}: expected a table [{key}]; found {value!r}")
            arguments[key] = _build(hint, value, prefix=f"{prefix}{key}.")
        else:
            arguments[key] = _typed(value, hint, key=prefix + key)
    return kind(**arguments)


def _typed(value: Any, hint: Any, *, key: str) -> Any:
    """The value if it is of the annotated type; whole numbers serve as floats, nothing else is converted."""
    if get_origin(hint) is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            legal = [str(choice) for choice in get_args(hint)]
            raise UsageError(f"{key} = {value!r}: expected one of {', '.join(legal)}{suggestion(value, legal)}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple) or len(value) != len(get_args(hint)):
            raise UsageError(f"{key} = {value!r}: expected {len(get_args(hint))} values in brackets")
        return tuple(_typed(item, kind, key=key) for item, kind in zip(value, get_args(hint), strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise UsageError(f"{key} = {value!r}: expected {_type_name(hint)}; found {_type_name(type(value))}")
    return value


def _type_name(kind: type) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(kind, kind.__name__)


def _nearest(name: str, known: list[str]) -> str:
    """``nearest: a, b`` among the known names, compared whole and by their last part; or all of them."""
    tails: dict[str, list[str]] = {}
    for candidate in known:
        tails.setdefault(candidate.rsplit(".", 1)[-1], []).append(candidate)
    near = difflib.get_close_matches(name, known, n=3)
    for tail in difflib.get_close_matches(name.rsplit(".", 1)[-1], list(tails), n=3):
        near += [candidate for candidate in tails[tail] if candidate not in near]
    return f"nearest: {', '.join(near[:3])}" if near else f"known: {', '.join(known)}"
