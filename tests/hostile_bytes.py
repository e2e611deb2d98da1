"""Bytes that no reader should trust: mutations of a valid file, and the promise they are held to."""

from __future__ import annotations

import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fer_prep.errors import FormatError

HANG_SECONDS = 20
"""Not a limit of speed (machines are busy) but what tells a hang from work."""
MEMORY_BYTES = 500 << 20


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail instead of waiting for ever."""

    def too_long(*_: object) -> None:
        raise AssertionError(f"the reader was still busy after {HANG_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def reads_or_refuses(reader: Callable[[bytes], Any], data: bytes) -> Any:
    """What the reader returns, or its FormatError, which must say what was expected and found in one short line."""
    with no_hang():
        try:
            return reader(data)
        except FormatError as refusal:
            error = refusal
    assert error.expected
    assert error.found
    assert "\n" not in error.message
    assert len(error.message) < 400
    return error


def peak_memory(reader: Callable[[bytes], Any], data: bytes) -> int:
    """Bytes that the reader allocated at most at one time."""
    tracemalloc.start()
    try:
        reads_or_refuses(reader, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def mutations(data: bytes, *, rng: np.random.Generator, rounds: int) -> Iterator[bytes]:
    """Truncated, flipped, duplicated, cut out and overwritten variants of a valid file."""
    for _ in range(rounds):
        start, stop = sorted(int(n) for n in rng.integers(0, len(data) + 1, 2))
        yield data[:start]
        yield data[start:]
        yield data[:start] + data[stop:]
        yield data[:stop] + data[start:stop] + data[stop:]
        flipped = bytearray(data)
        for at in rng.integers(0, len(data), int(rng.integers(1, 8))):
            flipped[at] ^= 1 << int(rng.integers(0, 8))
        yield bytes(flipped)
        noisy = bytearray(data)
        noisy[start : start + 8] = rng.bytes(8)
        yield bytes(noisy)
        head = bytearray(data)
        head[int(rng.integers(0, min(64, len(data))))] = int(rng.choice([0, 0x7F, 0xFF]))
        yield bytes(head)
