"""FACS score tables as text: one scan a line, its name first, then action units with intensities.

::

    scan, codes
    bs000_UFAU_1_0   1:C 2:B 4:D
    bs000_LFAU_12_0, 12D, 25B

Names and codes are separated by blanks, tabs, commas or semicolons; a code is a number with an optional intensity
A–E (``12``, ``12D``, ``12:D``), ``L`` or ``R`` in front or behind for a unilateral action (``L12C``, ``12L:C``) and
``+`` between codes (``1+4+15``). Lines before the first scan may be a header, lines that begin with ``#``, ``%`` or
``//`` are remarks; any other line without a scan's name is an error.
"""

from __future__ import annotations

import re
from typing import Final

from fer_prep.action_units import FacsCode
from fer_prep.errors import FormatError

_MAX_BYTES: Final = 2 << 20
"""Seven times what a line for each of the 4,666 scans of Bosphorus takes."""
_HEADER_LINES: Final = 20
_REMARKS: Final = ("#", "%", "//")
_SCAN: Final = re.compile(r"([a-z]{1,8}\d{1,6}(?:_[A-Za-z0-9]+)+)(?:\.\w{1,8})?", re.IGNORECASE)
_CODE: Final = re.compile(r"(?P<before>[LR]?)(?P<number>\d{1,2})(?P<after>[LR]?):?(?P<intensity>[A-E]?)", re.IGNORECASE)


FacsScores = dict[str, tuple[FacsCode, ...]]
"""Scan name as written (without file ending) → its codes."""


def read_facs_scores(data: bytes) -> FacsScores:
    """Read a score table; raises FormatError where a scan has an illegal code, or where there is no scan at all."""
    if len(data) > _MAX_BYTES:
        raise FormatError(expected="a table of FACS scores", found=f"{len(data)} bytes")
    scores: FacsScores = {}
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        words = [word for word in re.split(r"[\s,;+\"']+", line) if word]
        if not words or words[0].startswith(_REMARKS):
            continue
        match = _SCAN.fullmatch(words[0])
        if match is None and (scores or number > _HEADER_LINES):
            raise FormatError(
                expected="the name of a scan first, such as bs000_UFAU_1_0", found=f"line {number}: {line[:40]!r}"
            )
        if match is None:
            continue
        if match[1] in scores:
            raise FormatError(expected="one line a scan", found=f"line {number}: {match[1]} again")
        scores[match[1]] = _codes(words[1:], number)
    if not scores:
        raise FormatError(expected="lines such as 'bs000_UFAU_1_0 1:C 2:B'", found=f"{_first_line(data)} and none such")
    return scores


def _codes(words: list[str], line: int) -> tuple[FacsCode, ...]:
    codes: list[FacsCode] = []
    for word in words:
        match = _CODE.fullmatch(word)
        if match is None:
            raise FormatError(expected="action units such as 12, 12D or 12:D", found=f"line {line}: {word[:40]!r}")
        codes.append(
            FacsCode(
                number=int(match["number"]),
                intensity=match["intensity"].upper(),
                unilateral=bool(match["before"] or match["after"]),
            )
        )
    return tuple(codes)


def _first_line(data: bytes) -> str:
    lines = data[:200].splitlines()
    return repr(lines[0][:60].decode("utf-8", errors="replace")) if lines else "an empty file"
