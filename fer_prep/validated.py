"""Structured files as dataclasses: what TOML or JSON says has the right keys and types, or the mistake is named.

pydantic checks the types, strictly: a whole number serves as a number and a list as a tuple, nothing else is converted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json

from fer_prep.errors import UsageError

T = TypeVar("T")

_NAMES: Final = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a table"}


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
