"""Settings as dataclasses: a field says once what an option is, for the library, ``--help``, ``fer.toml`` and the docs.

The type says what is allowed, the docstring under the field what it means. ``option`` adds what neither can say.
"""

from __future__ import annotations

import ast
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, field, fields
from functools import cache
from itertools import pairwise
from typing import Any

from fer_prep.errors import UsageError


def option(
    default: Any = MISSING,
    *,
    factory: Any = MISSING,
    name: str = "",
    names: Sequence[str] | Callable[[], Sequence[str]] = (),
    parse: Callable[[str], Any] | None = None,
    offered: bool = True,
    help: str = "",
    setting: str = "",
    **more: Any,
) -> Any:
    """A field of a dataclass of options.

    ``name`` is what a user types where the field is called otherwise (``--label-source``, ``--out -o``); ``names`` are
    what the shell offers where other values are allowed too (else the type is a ``Literal``); ``parse`` makes the value
    from what was typed; ``offered`` is False for a setting that is no option; ``help`` takes the place of the
    docstring, and ``setting`` names the one that the option is short for.
    ``more`` are keywords of ``typer.Option``: ``min``, ``max``, ``metavar``, ``show_default``.
    """
    how = {"name": name, "names": names, "parse": parse, "offered": offered, "help": help, "setting": setting}
    made: Any = field(default=default, default_factory=factory, metadata=how | {"more": more})
    return made


@cache
def field_help(cls: type) -> dict[str, str]:
    """Field → the string literal under it, as one line; of a dataclass and of those that it extends."""
    texts: dict[str, str] = {}
    for part in reversed(cls.__mro__):
        texts |= _literals_of(part.__module__).get(part.__name__, {})
    return {item.name: item.metadata.get("help") or texts.get(item.name, "") for item in fields(cls)}


@cache
def _literals_of(module: str) -> dict[str, dict[str, str]]:
    """Class → field → the literal under it, of a whole module: read once, which is what takes time."""
    if module == "builtins":
        return {}
    body = ast.parse(inspect.getsource(sys.modules[module])).body
    return {node.name: dict(_literals(node.body)) for node in body if isinstance(node, ast.ClassDef)}


def _literals(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node, below in pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            yield node.target.id, " ".join(str(below.value.value).split())


def refuse_out_of_range(settings: Any, *, section: str = "") -> None:
    """Raise UsageError where a number of a dataclass of options is below its ``min`` or above its ``max``."""
    for item in fields(settings):
        limits, value = item.metadata.get("more", {}), getattr(settings, item.name)
        low, high = limits.get("min", -math.inf), limits.get("max", math.inf)
        if isinstance(value, int | float) and not low <= value <= high:
            expected = f"{low} or more" if high == math.inf else f"between {low} and {high}"
            raise UsageError(f"{section}{item.name} = {value}: expected {expected}")
