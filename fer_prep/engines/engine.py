"""The seam that runs per-sample work somewhere: ``Engine.run(function, items=…)`` → (item, result) pairs.

An engine may run items in any order, on any number of processes or machines, and must answer for every item:
with what the function returned, or with ``WorkerDied`` where the item took its worker process down twice.
Exceptions of the function are not results: they end the run (a full disk concerns every item that follows).

``ProcessEngine`` is the default; another engine is another class with the same method (``dask_engine``), chosen by name
in ``choice``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from fer_prep.errors import EngineError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class WorkerDied:
    """The result of an item that killed its worker, the second time alone: ``reason`` says how it died."""

    reason: str


class Engine(Protocol):
    """Something that applies a picklable function to many items."""

    @property
    def remote(self) -> bool:
        """Whether workers may run on other machines, or were started by someone else."""
        ...

    def run(
        self, function: Callable[[Item], Result], *, items: Iterable[Item]
    ) -> Generator[tuple[Item, Result | WorkerDied], None, None]:
        """Yield one pair per item as they finish; ``items`` is read as work is handed out, not all at once.

        Closing the iterator (or an exception on the way) stops all work at once.
        """
        ...


@dataclass(frozen=True)
class InProcessEngine:
    """One item after another in this very process: for debuggers and small libraries' needs."""

    remote = False

    def run(
        self, function: Callable[[Item], Result], *, items: Iterable[Item]
    ) -> Generator[tuple[Item, Result | WorkerDied], None, None]:
        """Yield each item with its result, in order."""
        for item in items:
            yield item, function(item)


def answered(outcome: Result | WorkerDied, *, name: str) -> Result:
    """The result, where every item must have one; raises EngineError naming the item whose worker died."""
    if isinstance(outcome, WorkerDied):
        raise EngineError(f"{name}: {outcome.reason}", hint="the same command starts anew")
    return outcome


def usable_cpus() -> int:
    """How many processors this process may use: its affinity mask, and its container's quota where there is one."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, int(quota) // int(period)))
