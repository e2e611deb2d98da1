"""The FACS scores that come with Bosphorus (``facscodes.zip``), where somebody has unpacked them into the tree.

Their layout is not publicly documented. Two layouts are read: tables with a scan name at the start of every line,
and one file per scan, named after it, that holds its codes (see ``formats.facs_scores``). Anything else is reported
with what was found in it, and the policy goes by the scan's own code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from fer_prep.errors import FormatError
from fer_prep.formats.facs_scores import FacsScores, read_facs_scores
from fer_prep.sources.raw_tree import RawTree, name_of
from fer_prep.sources.read_file import read_file

_TABLES: Final = (".txt", ".csv", ".tsv", ".dat")
_SCAN: Final = re.compile(r"bs\d{3}_[A-Z]+_[A-Z0-9+_-]+_\d+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FacsFiles:
    """The scores found in a tree, by scan name in capitals, and what could not be read."""

    scores: FacsScores
    warnings: tuple[str, ...] = ()


def find_facs_scores(tree: RawTree) -> FacsFiles:
    """Read every score file: those with ``facs`` in their name or in a folder's."""
    scores: FacsScores = {}
    warnings: list[str] = []
    for path in _score_files(tree.files):
        try:
            data = read_file(tree.root / path, reader=bytes)
            stem = PurePosixPath(path).stem
            if _SCAN.fullmatch(stem):
                # one line per scan, its name taken from the file's
                data = stem.encode() + b" " + b" ".join(data.split())
            scores |= {name.upper(): codes for name, codes in read_facs_scores(data).items()}
        except FormatError as error:
            warnings.append(f"FACS scores not used: {error.within(path)}")
        except OSError as error:
            warnings.append(f"FACS scores not used: {path}: {error.strerror}")
    packed = [path for path in tree.archives() if "facs" in name_of(path).lower()]
    if packed and not scores:
        warnings.append(f"FACS scores not used: {packed[0]} is not unpacked")
    return FacsFiles(scores=scores, warnings=tuple(warnings))


def _score_files(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if "facs" in path.lower() and path.lower().endswith(_TABLES)]
