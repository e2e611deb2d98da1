"""Numbers in text: whitespace- or comma-separated, parsed by NumPy, nothing accepted that is not a number."""

from __future__ import annotations

import warnings
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.int64, np.float64)

_SHOWN: Final = 24

_BLANKS: Final = bytes(character in b" \t\n\r\x0b\f" for character in range(256))

MAX_NUMBERS: Final = 3_000_000
"""In one list: ten times the largest face scan. More would cost memory before anything can be found wrong with it."""


class NumberTextError(ValueError):
    """Text that is not a list of numbers; ``found`` says what it is instead, in a few words."""

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(found)


def parse_numbers(text: bytes, *, kind: type[Number]) -> NDArray[Number]:
    """(n,) all tokens of the text; raises NumberTextError where one is not a number of ``kind``.

    Too large decimals become infinite, too large integers the largest there is; ``nan`` and ``inf`` are read as such.
    """
    plain = text.replace(b",", b" ")
    count = _count_words(plain)
    if count > MAX_NUMBERS:
        raise NumberTextError(f"{count} numbers in one list")
    if not count:
        return np.empty(0, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy only warns where it stops at what is no number
        try:
            numbers = np.fromstring(plain, kind, sep=" ")
        except (ValueError, DeprecationWarning):
            numbers = np.empty(0, kind)
    if len(numbers) != count:  # `5-3` is one word, but two numbers
        raise NumberTextError(_first_that_is_none(plain.split(), kind))
    return numbers


def _count_words(text: bytes) -> int:
    """As many as ``len(text.split())``, without making them."""
    blank = np.frombuffer(b"\1" + text.translate(_BLANKS), np.bool_)
    return int(np.count_nonzero(blank[:-1] & ~blank[1:]))


def _first_that_is_none(words: list[bytes], kind: type[np.int64] | type[np.float64]) -> str:
    """The first word that Python does not take for a number, either."""
    parse = int if kind is np.int64 else float
    for word in words:
        try:
            if b"_" not in word:
                parse(word)
                continue
        except ValueError:
            pass
        return repr(word[:_SHOWN].decode("latin-1") + ("…" if len(word) > _SHOWN else ""))
    return "something else"
