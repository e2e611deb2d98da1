"""Structured files: what TOML or JSON says has the right keys and types, or file, key and mistake are named.

Every such file is read by ``read_toml`` or ``read_json`` and becomes a dataclass by ``checked``.
pydantic checks the types, strictly: a whole number serves as a number and a list as a tuple, nothing else is converted.
Size is looked at before anything is read.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from fer_prep.errors import FerError, FormatError, SettingsError
from fer_prep.regular_files import read_bytes

T = TypeVar("T")

MAX_BYTES: Final = 64 << 20
"""Fold manifests of a million samples stay below it."""
_SHOWN: Final = 80
"""Characters of a wrong value in an error."""

_EXPECTED: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
    "missing": "more values",
}
"""Kind of mistake → what was expected; pydantic has a sentence for the others."""
_FOUND: Final = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a table"}


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


def checked(
    kind: type[T],
    values: Any,
    *,
    path: Path | None = None,
    error: type[FerError] = SettingsError,
    others: bool = False,
) -> T:
    """``values`` of a file as a dataclass; what they leave out keeps its default.

    Raises ``error`` that names the key of a wrong value, of one that must be there and is not, and, unless ``others``
    are allowed, of one that is unknown, with the nearest known.
    """
    adapter = TypeAdapter(kind)
    try:
        content = to_json(values, inf_nan_mode="constants")
        return adapter.validate_json(content, strict=True, extra="ignore" if others else "forbid")
    except ValidationError as found:
        mistakes = found.errors(include_url=False)
    except ValueError as found:  # text that no file can hold
        raise error(f"not a value that a file can have: {_first_line(found)}", path=path) from None
    unknown = [mistake for mistake in mistakes if mistake["type"] == "unexpected_keyword_argument"]
    if not unknown:
        raise error(_said(mistakes[0]), path=path)
    key, schema = _key(unknown[0]), adapter.json_schema()
    raise error(f"no setting called {key!r}; {nearest(key, list(_names(schema, schema)))}", path=path)


def _key(mistake: ErrorDetails) -> str:
    return ".".join(str(part) for part in mistake["loc"])


def _said(mistake: ErrorDetails) -> str:
    """What pydantic found, in our words."""
    where, value = mistake["loc"], mistake["input"]
    if mistake["type"] == "missing" and not isinstance(where[-1], int):
        return f"expected {_key(mistake)}; found none"
    key = _key(mistake).rpartition(".")[0] if mistake["type"] == "missing" else _key(mistake)
    words = mistake["msg"].replace("Input should be", "").replace("Value error,", "").strip()
    expected = _EXPECTED.get(mistake["type"], words[:1].lower() + words[1:])
    if mistake["type"] in ("literal_error", "enum"):
        expected = "one of " + words.replace(" or ", ", ").replace("'", "")
    found = _FOUND.get(type(value), type(value).__name__)
    return f"{key or 'all of it'} = {repr(value)[:_SHOWN]}: expected {expected}; found {found}"


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


def _names(schema: Mapping[str, Any], part: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted name of every value that a JSON Schema knows, of tables in lists too; ``part`` of it."""
    part = part.get("items", part)
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    for name, inner in part.get("properties", {}).items():
        yield prefix + name
        yield from _names(schema, inner, f"{prefix}{name}.")
