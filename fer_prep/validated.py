"""Structured files: what TOML or JSON says has the right keys and types, or file, key and mistake are named.

Every such file is read by ``read_toml`` or ``read_json`` and becomes a dataclass by ``checked``.
pydantic checks the types, strictly: a whole number serves as a number and a list as a tuple, nothing else is converted.
Size is looked at before anything is read.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from fer_prep.errors import FerError, FormatError, SettingsError, UsageError
from fer_prep.regular_files import read_bytes

T = TypeVar("T")

MAX_BYTES: Final = 64 << 20
"""Fold manifests of a million samples stay below it."""
_SHOWN: Final = 80
"""Characters of a wrong value in an error."""

_UNKNOWN: Final = "unexpected_keyword_argument"
_NAMES: Final = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a table"}


def read_toml(path: Path, *, error: type[FerError] = SettingsError) -> dict[str, Any]:
    """What a TOML file says; raises ``error`` that names the file, FileNotFoundError where there is none."""
    try:
        return tomllib.loads(_text(path, error))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as mistake:
        raise error(f"not valid TOML: {_first_line(mistake)}", path=path) from None


def read_json(path: Path, *, error: type[FerError] = SettingsError) -> Any:
    """What a JSON file says; see ``read_toml``."""
    return parse_json(_text(path, error), path, error=error)


def parse_json(text: str, path: Path, *, error: type[FerError] = SettingsError) -> Any:
    """What JSON in the file ``path`` says."""
    try:
        return from_json(text, allow_inf_nan=True)
    except ValueError as mistake:
        raise error(f"not valid JSON: {_first_line(mistake)}", path=path) from None


def _text(path: Path, error: type[FerError]) -> str:
    try:
        return read_bytes(path, most_bytes=MAX_BYTES).decode("utf-8-sig")  # Windows editors begin a file with a mark
    except FormatError as mistake:
        raise error(path=path, expected=mistake.expected, found=mistake.found) from None
    except UnicodeDecodeError as mistake:
        raise error(f"not UTF-8 text: {mistake.reason} at byte {mistake.start}", path=path) from None
    except FileNotFoundError:
        raise
    except OSError as mistake:
        raise error(f"cannot be read: {mistake.strerror}", path=path) from None


def _first_line(mistake: Exception) -> str:
    lines = str(mistake).splitlines()
    return lines[0][:200] if lines and not isinstance(mistake, RecursionError) else "nested too deeply"


def checked(kind: type[T], values: Any, *, path: Path | None = None, error: type[FerError] = SettingsError) -> T:
    """``values`` of a file as a dataclass; raises ``error`` that names the key that is wrong."""
    try:
        return TypeAdapter(kind).validate_json(to_json(values, inf_nan_mode="constants"), strict=True)
    except ValidationError as found:
        mistakes = found.errors(include_url=False)
        mistake = next((each for each in mistakes if each["type"] == _UNKNOWN), mistakes[0])  # a typo is one of them
    except ValueError as found:  # text that no file can hold
        raise error(f"not a value that a file can have: {_first_line(found)}", path=path) from None
    key = ".".join(str(part) for part in mistake["loc"]) or "all of it"
    said = mistake["msg"].replace("Input should be", "expected").replace("Field required", "expected; it is not there")
    said = said.replace("Unexpected keyword argument", "no such key")
    value = "" if mistake["type"] == "missing" else f"; found {mistake['input']!r}"[:_SHOWN]
    raise error(f"{key}: {said[:1].lower()}{said[1:]}{value}", path=path)


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """The dataclass ``kind`` from nested mappings; what they leave out keeps its default.

    Raises UsageError that names the key: for one that is unknown, with the nearest known, and for a wrong value.
    """
    known = dict(_types_of(kind))
    for key, _ in flatten(values):
        if key not in known and not any(name.startswith(f"{key}.") for name in known):
            raise UsageError(f"no setting called {key!r}; {nearest(key, list(known))}")
    try:
        return TypeAdapter(kind).validate_json(to_json(values), strict=True)
    except ValidationError as error:
        raise UsageError(_said(error.errors()[0], known)) from None


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``("section.key", value)`` for nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def nearest(name: str, known: Sequence[str]) -> str:
    """``nearest: a, b`` among the known names, compared whole and by their last part; or all of them.

    >>> nearest("epochs", ["training.epochs", "loss.name"])
    'nearest: training.epochs'
    """
    last = {candidate: candidate.rpartition(".")[2] for candidate in known}
    near = difflib.get_close_matches(name, known, n=3)
    for word in difflib.get_close_matches(name.rpartition(".")[2], set(last.values()), n=3):
        near += [candidate for candidate in known if last[candidate] == word and candidate not in near]
    return f"nearest: {', '.join(near[:3])}" if near else f"known: {', '.join(known)}"


def _types_of(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name → type of every value."""
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint):
            yield from _types_of(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, hint


def _said(mistake: ErrorDetails, types: Mapping[str, Any]) -> str:
    """What pydantic found, in our words."""
    key = ".".join(part for part in mistake["loc"] if isinstance(part, str))
    value, hint = mistake["input"], types.get(key, dict)
    if get_origin(hint) is Literal:
        expected = f"one of {', '.join(map(str, get_args(hint)))}"
    elif get_origin(hint) is tuple:
        expected = f"{len(get_args(hint))} values in brackets, each {_NAMES[get_args(hint)[0]]}"
    else:
        expected = _NAMES[hint]
    return f"{key} = {value!r}: expected {expected}; found {_NAMES.get(type(value), type(value).__name__)}"
