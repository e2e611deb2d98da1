"""Bosphorus file names: which files belong to one scan."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from fer_prep.sample import Rejection
from fer_prep.sources.raw_tree import RawTree, keep_first, misnamed, name_of

NAME: Final = "bs{3 digits}_{N|E|LFAU|UFAU|CAU|YR|PR|CR|O|IGN}_{code}_{repetition}"

_NAME: Final = re.compile(
    r"(?P<subject>bs\d{3})_(?:(?P<class>N|E|LFAU|UFAU|YR|PR|CR|O|IGN)_(?P<code>[A-Z0-9+-]+)"
    r"|(?P<combined>CAU)_(?P<codes>[A-Z0-9+_-]+))_(?P<repetition>\d{1,3})\.(?P<suffix>bnt|png|bmp|jpe?g|lm2|lm3)",
    re.IGNORECASE | re.ASCII,
)
_OURS: Final = (".bnt", ".png", ".bmp", ".jpg", ".jpeg", ".lm2", ".lm3")
_ROLES: Final = {"bnt": "grid", "lm2": "landmarks_2d", "lm3": "landmarks_3d"}
SUFFIXES: Final = {"grid": "bnt", "rgb": "png", "landmarks_2d": "lm2", "landmarks_3d": "lm3"}


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a file name says."""

    subject: str
    kind: str
    """The class: ``N``, ``E``, ``LFAU`` …"""
    code: str
    repetition: str

    @property
    def token(self) -> str:
        """Class and code: ``LFAU_12``."""
        return f"{self.kind}_{self.code}"

    @property
    def name(self) -> str:
        """The native base name."""
        return f"{self.subject}_{self.token}_{self.repetition}"


ScansByFolder = dict[tuple[str, Scan], dict[str, str]]
"""(folder, scan) → role → relative path."""


def scans_of(tree: RawTree) -> tuple[ScansByFolder, list[Rejection]]:
    """The files of every scan, and rejections for wrong names."""
    scans: ScansByFolder = defaultdict(dict)
    rejections: list[Rejection] = []
    doubles: dict[str, Rejection] = {}
    # a picture re-encoded beside the original .png does not take its place
    for path in sorted(tree.with_suffix(*_OURS), key=lambda path: not path.lower().endswith(".png")):
        match = _NAME.fullmatch(name_of(path))
        if match is None:
            if not _is_documentation(path):
                rejections.append(misnamed(path, expected=NAME))
            continue
        scan = Scan(
            subject=match["subject"].lower(),
            kind=(match["class"] or match["combined"]).upper(),
            code=(match["code"] or match["codes"]).upper(),
            repetition=match["repetition"],
        )
        role = _ROLES.get(match["suffix"].lower(), "rgb")
        files, sample_id = scans[path.rpartition("/")[0], scan], f"bosphorus/{scan.name}"
        keep_first(files, role, path, doubles=doubles, sample_id=sample_id, main=role == "grid")
    return dict(scans), [*rejections, *doubles.values()]


def _is_documentation(path: str) -> bool:
    """Pictures in the distribution's ``__images__`` and ``__others__`` folders that belong to no scan."""
    in_extras = any(folder.startswith("__") for folder in path.split("/")[:-1])
    return in_extras and not name_of(path).lower().startswith("bs")


def main_file(files: dict[str, str]) -> str:
    """The file that stands for a scan: the range grid, or else the first there is."""
    return files.get("grid") or files[min(files)]
