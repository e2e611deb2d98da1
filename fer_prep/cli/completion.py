"""What the shell offers for options that take one of some names, and a file or an address as well.

An option that takes nothing but the names is a ``Literal``, which is completed without this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fer_prep.resources import manifests_folder

Complete = Callable[[str], list[str]]
"""The beginning that was typed → the names that begin so; where there are none the shell offers files."""


def names(*known: str) -> Complete:
    """Names that are known without loading anything.

    >>> names("rgbd", "rgb", "depth")("rg")
    ['rgbd', 'rgb']
    """
    return names_of(lambda: known)


def manifest_names(kind: str, *also: str) -> Complete:
    """The TOML files in a folder of ``manifests/``, without their suffix; before them the names in ``also``."""
    return names_of(lambda: [*also, *sorted(path.stem for path in (manifests_folder() / kind).glob("*.toml"))])


def names_of(known: Callable[[], Sequence[str]]) -> Complete:
    """Names that are looked up when they are asked for."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in known() if name.startswith(incomplete)]

    return complete
