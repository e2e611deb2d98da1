"""Waiting for what another process or thread does: as short as can be, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(come: Callable[[], object], what: str, *, seconds: float = 60.0) -> None:
    """Return once ``come()`` is true; an AssertionError that says ``what`` was waited for after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.01)
