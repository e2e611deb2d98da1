"""Numbers in text: whitespace- or comma-separated, parsed as whole arrays, nothing accepted that is not a number.

The fast way reads all tokens at once with array arithmetic: digits are summed as ``digit · 10^k`` from the end of
every token, and a decimal is its integer mantissa divided by a power of ten, which is correctly rounded as long as
the mantissa is below 2^53 (Clinger, "How to read floating point numbers accurately", PLDI 1990). Anything longer,
or with an exponent, is left to ``float``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]

_SEPARATOR, _DIGIT, _SIGN, _DOT, _EXPONENT, _OTHER = range(6)
_EXACT_DIGITS: Final = 15
_INTEGER_DIGITS: Final = 18
_SHOWN: Final = 24

MAX_NUMBERS: Final = 3_000_000
"""In one list: ten times the largest face scan. More would cost memory before anything can be found wrong with it."""


def _character_kinds() -> bytes:
    kinds = np.full(256, _OTHER, np.uint8)
    for characters, kind in ((b" \t\r\n\f\v,", _SEPARATOR), (b"0123456789", _DIGIT), (b"+-", _SIGN)):
        kinds[list(characters)] = kind
    kinds[ord(".")] = _DOT
    kinds[list(b"eE")] = _EXPONENT
    return kinds.tobytes()


_KINDS: Final = _character_kinds()
_POWERS: Final = 10 ** np.arange(_INTEGER_DIGITS + 1, dtype=np.int64)


class NumberTextError(ValueError):
    """Text that is not a list of numbers; ``found`` says what it is instead, in a few words."""

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(found)


def parse_integers(text: bytes) -> NDArray[np.int64]:
    """(n,) int64 of every token; raises NumberTextError where one is not an integer of at most
    18 digits."""
    raw, kinds, starts, ends = _tokens(text)
    if not starts.size:
        return np.empty(0, np.int64)
    signed = kinds[starts] == _SIGN
    digits = ends - starts - signed
    legal = (digits >= 1) & (digits <= _INTEGER_DIGITS)
    if np.count_nonzero(kinds > _DIGIT) != np.count_nonzero(signed):
        strange = np.flatnonzero(kinds > _DIGIT)
        owners = np.searchsorted(starts, strange, side="right") - 1
        legal[owners[(starts[owners] != strange) | (kinds[strange] != _SIGN)]] = False
    _refuse(text, starts, ends, legal)
    values = np.zeros(starts.size, np.int64)
    for place in range(int(digits.max())):
        figures = np.take(raw, np.maximum(ends - 1 - place, 0)) - np.int64(ord("0"))
        values += np.where(place < digits, figures * _POWERS[place], 0)
    return np.where(raw[starts] == ord("-"), -values, values)


def parse_decimals(text: bytes) -> NDArray[np.float64]:
    """(n,) float64 of every token; raises NumberTextError, also for words such as ``nan``. Overflow becomes
    infinity."""
    raw, kinds, starts, ends = _tokens(text)
    if not starts.size:
        return np.empty(0)
    fast = _fast_decimals(raw, kinds, starts, ends)
    return _slow_decimals(text, starts, ends) if fast is None else fast


def _tokens(text: bytes) -> tuple[Bytes, Bytes, Places, Places]:
    """The bytes, their kinds, and where tokens start and end (exclusive); refuses characters of no number."""
    raw = np.frombuffer(text, np.uint8)
    kinds = np.frombuffer(text.translate(_KINDS), np.uint8)  # six times faster than indexing a table
    inside = np.zeros(raw.size + 2, np.bool_)
    np.not_equal(kinds, _SEPARATOR, out=inside[1:-1])
    changes = inside[1:] != inside[:-1]
    if (count := np.count_nonzero(changes) // 2) > MAX_NUMBERS:
        raise NumberTextError(f"{count} numbers in one list")
    edges = np.flatnonzero(changes)
    starts, ends = edges[0::2], edges[1::2]
    if kinds.size and kinds.max() == _OTHER:
        strange = np.flatnonzero(kinds == _OTHER)
        token = int(np.searchsorted(starts, strange[0], side="right")) - 1
        raise _not_a_number(text[starts[token] : ends[token]])
    return raw, kinds, starts, ends


def _fast_decimals(raw: Bytes, kinds: Bytes, starts: Places, ends: Places) -> NDArray[np.float64] | None:
    """All tokens by array arithmetic, or None where one of them is not plainly ``[sign]digits[.digits]``."""
    if kinds.max() >= _EXPONENT:
        return None
    signed = kinds[starts] == _SIGN
    dots = np.flatnonzero(kinds == _DOT)
    dotted = np.searchsorted(starts, dots, side="right") - 1
    if np.count_nonzero(kinds == _SIGN) != np.count_nonzero(signed) or np.any(np.diff(dotted) == 0):
        return None
    dot = np.full(starts.size, -1, np.int64)
    dot[dotted] = dots
    digits = ends - starts - signed - (dot >= 0)
    if digits.min() < 1 or digits.max() > _EXACT_DIGITS:
        return None
    fraction = np.where(dot >= 0, ends - 1 - dot, 0)
    mantissa = np.zeros(starts.size, np.int64)
    for place in range(int(digits.max())):
        # the dot is stepped over by tokens whose fraction ends before this place
        position = ends - 1 - place - ((dot >= 0) & (place >= fraction))
        figures = np.take(raw, np.maximum(position, 0)) - np.int64(ord("0"))
        mantissa += np.where(place < digits, figures * _POWERS[place], 0)
    values = mantissa / _POWERS[fraction].astype(np.float64)
    return np.where(raw[starts] == ord("-"), -values, values)


def _slow_decimals(text: bytes, starts: Places, ends: Places) -> NDArray[np.float64]:
    try:
        return np.array(list(map(float, text.replace(b",", b" ").split())))
    except ValueError:
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            _float(text[start:end])
        raise


def _float(token: bytes) -> float:
    try:
        return float(token)
    except ValueError:
        raise _not_a_number(token) from None


def _refuse(text: bytes, starts: Places, ends: Places, legal: NDArray[np.bool_]) -> None:
    if not legal.all():
        first = int(np.argmin(legal))
        raise _not_a_number(text[starts[first] : ends[first]])


def _not_a_number(token: bytes) -> NumberTextError:
    return NumberTextError(repr(token[:_SHOWN].decode("latin-1") + ("…" if len(token) > _SHOWN else "")))
