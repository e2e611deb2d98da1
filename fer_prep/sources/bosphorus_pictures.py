"""Does a range grid belong to the picture beside it? Its header names the picture that it was made with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Final

from fer_prep.formats.bnt import read_picture_name
from fer_prep.sample import Sample
from fer_prep.sources.raw_tree import printable

_HEAD_BYTES: Final = 1024
"""Enough for every name that a file system allows."""
_SHOWN: Final = 3


def picture_name_warnings(samples: Iterable[Sample]) -> list[str]:
    """A warning that names the scans whose grid was made with a picture of another name; reads the headers alone.

    Headers that cannot be read or hold no name are passed over: they are reported when their sample is loaded.
    """
    others: list[str] = []
    for sample in samples:
        name = _picture_name(sample.files["grid"])
        if name and PureWindowsPath(name).stem.lower() != sample.name.lower():
            others.append(f"{sample.source_file} ({printable(name)[:60]})")
    if not others:
        return []
    more = " …" if len(others) > _SHOWN else ""
    return [
        f"the header of {len(others)} range grid(s) names another picture: {', '.join(others[:_SHOWN])}{more}; "
        "is the grid of another scan? the picture beside it is used"
    ]


def _picture_name(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return read_picture_name(stream.read(_HEAD_BYTES))
    except OSError:
        return ""
