"""How many threads PyTorch takes on a CPU: as many as are free, because threads that wait for each other waste most.

With a dozen other programs at work, two threads on two processors took 9.1 s for a step that one does in 0.58 s.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import torch

from fer_prep.engines.engine import usable_cpus

LOOK_SECONDS: Final = 0.2
_STAT: Final = Path("/proc/stat")
_IDLE: Final = slice(4, 6)
"""Columns of the first line of ``/proc/stat``: ticks that all processors together spent idle, and waiting for disks."""


def settle_threads(wanted: int) -> str:
    """Set PyTorch's threads to ``wanted``, or for 0 to what is free; returns what was chosen, in words."""
    if wanted or "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(wanted or torch.get_num_threads())
        return f"threads: {torch.get_num_threads()}, as set"
    mine, idle = min(torch.get_num_threads(), usable_cpus()), idle_processors()
    torch.set_num_threads(max(1, min(mine, mine if idle is None else round(idle))))
    found = "" if idle is None else f", {idle:.1f} of the machine's stood idle just now"
    return f"threads: {torch.get_num_threads()}; {mine} processors may be used{found} (--set machine.threads=N)"


def idle_processors(*, seconds: float = LOOK_SECONDS) -> float | None:
    """How many processors of the machine stood idle during ``seconds``; None where the system does not say."""
    try:
        before = _idle_ticks()
        time.sleep(seconds)
        return (_idle_ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds
    except (OSError, ValueError):
        return None


def _idle_ticks() -> int:
    with _STAT.open(encoding="ascii") as stream:
        return sum(int(ticks) for ticks in stream.readline().split()[_IDLE])
