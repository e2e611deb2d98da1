"""Names that a person would take for the same: two spellings of one subject stand on both sides of a split."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable


def look_alikes(names: Iterable[str]) -> list[str]:
    """``anna, Anna`` for each set of different names that are alike but for case, leading zeros, blanks or accents.

    >>> look_alikes(["lab:anna", "lab:Anna", "lab:bert", "lab:7", "lab:007"])
    ['lab:007, lab:7', 'lab:Anna, lab:anna']
    """
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[_bare(name)].add(name)
    return sorted(", ".join(sorted(alike)) for alike in spellings.values() if len(alike) > 1)


def _bare(name: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).casefold()
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"\s", "", plain))
