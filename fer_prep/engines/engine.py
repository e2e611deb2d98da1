"""The seam that runs per-sample work somewhere: ``Engine.run(function, items=…)`` → (item, result) pairs.

An engine may run items in any order, on any number of processes or machines, and must answer for every item:
with what the function returned, or with ``WorkerDied`` where the item took its worker process down twice.
Exceptions of the function are not results: they end the run (a full disk concerns every item that follows).

``ProcessEngine`` is the default; another engine is another class with the same method (``dask_engine``), chosen by name
in ``choice``.
"""

from __future__ import annotations

import os
import selectors
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from fer_prep.engines.worker_process import Worker
from fer_prep.errors import EngineError

Item = TypeVar("Item")
Result = TypeVar("Result")

DEATHS_WITHOUT_RESULT: Final = 5
"""So many dead workers before the first result mean that this machine cannot do the work at all."""


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

    @property
    def threads(self) -> int:
        """How many items may run side by side in one worker process."""
        ...

    @property
    def spare_processors(self) -> bool:
        """Whether there are known to be more processors than workers, so that a worker may well use two."""
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

    @property
    def remote(self) -> bool:
        """False: all of it is here."""
        return False

    @property
    def threads(self) -> int:
        """One."""
        return 1

    @property
    def spare_processors(self) -> bool:
        """False: all is done in one place."""
        return False

    def run(
        self, function: Callable[[Item], Result], *, items: Iterable[Item]
    ) -> Generator[tuple[Item, Result | WorkerDied], None, None]:
        """Yield each item with its result, in order."""
        for item in items:
            yield item, function(item)


@dataclass(frozen=True, kw_only=True)
class ProcessEngine:
    """Worker processes on this machine, started by spawn (a forked MediaPipe crashes, see ``worker_process``).

    ``threads`` items run side by side in each worker, so that one item's file access and decoding overlaps another's
    detection; the function must then be safe to call from several threads. There are never more
    processes than items.
    """

    workers: int
    threads: int = 1

    @property
    def remote(self) -> bool:
        """False: all of it is here."""
        return False

    @property
    def spare_processors(self) -> bool:
        """Whether this machine has more."""
        return self.workers < usable_cpus()

    def run(
        self, function: Callable[[Item], Result], *, items: Iterable[Item]
    ) -> Generator[tuple[Item, Result | WorkerDied], None, None]:
        """Yield pairs as they finish. In flight at any time: at most ``workers · (threads + 1)`` items."""
        pool = _Pool(function=function, size=self.workers, threads=self.threads)
        try:
            yield from pool.first_pass(iter(items))
            yield from pool.second_chance()
        finally:
            pool.stop()
            pool.waiting.close()


@dataclass(kw_only=True)
class _Pool:
    """The running workers and what became of the items of dead ones."""

    function: Callable[[Any], Any]
    size: int
    threads: int
    workers: list[Worker] = field(default_factory=list[Worker])
    waiting: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    """For messages of all workers; made once, since asking anew for each of many workers takes time."""
    suspects: deque[Any] = field(default_factory=deque[Any])
    deaths: int = 0
    results: int = 0

    def first_pass(self, items: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        """Run all items; those whose worker died become suspects."""
        exhausted = False
        while True:
            while not exhausted and self._has_room():
                try:
                    item = next(items)
                except StopIteration:
                    exhausted = True
                else:
                    self._least_loaded().give(item)
            if exhausted and not any(worker.unfinished for worker in self.workers):
                return
            for worker in self._ready_workers():
                try:
                    outcome = worker.receive()
                except EOFError:
                    self._bury(worker)
                    continue
                if outcome is not None:
                    self.results += 1
                    yield outcome

    def second_chance(self) -> Iterator[tuple[Any, Any]]:
        """Run each suspect once more, alone on this machine: memory may have been short because of its neighbours."""
        if self.suspects:
            self.stop()
        while self.suspects:
            item = self.suspects.popleft()
            worker = self.workers[0] if self.workers else self._start_worker()
            worker.give(item)
            try:
                outcome = worker.receive_result()
            except EOFError:
                self._take_out(worker)
                outcome = item, WorkerDied(reason=worker.cause_of_death())
            yield outcome

    def stop(self) -> None:
        """Kill all workers: what they were writing has no final name yet."""
        for worker in self.workers:
            worker.kill()
        for worker in list(self.workers):
            self._take_out(worker)
            worker.join()

    def _has_room(self) -> bool:
        """Whether one more item can be in flight: one waits in each worker beside those at work."""
        return len(self.workers) < self.size or any(len(worker.unfinished) <= self.threads for worker in self.workers)

    def _least_loaded(self) -> Worker:
        """The worker with the fewest items; a new one while all others are busy and there may be more."""
        if len(self.workers) < self.size and all(worker.unfinished for worker in self.workers):
            return self._start_worker()
        return min(self.workers, key=lambda worker: len(worker.unfinished))

    def _ready_workers(self) -> list[Worker]:
        return [key.data for key, _ in self.waiting.select()]

    def _start_worker(self) -> Worker:
        worker = Worker(self.function, threads=self.threads)
        self.workers.append(worker)
        self.waiting.register(worker.connection, selectors.EVENT_READ, worker)
        return worker

    def _take_out(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self.waiting.unregister(worker.connection)

    def _bury(self, worker: Worker) -> None:
        """Take a dead worker out and keep its items for the second pass."""
        self._take_out(worker)
        self.suspects.extend(worker.unfinished)
        self.deaths += 1
        cause = worker.cause_of_death()
        if not worker.was_ready:
            raise EngineError(f"a worker process cannot start: {cause}", hint="see fer-prep doctor, or try --workers 0")
        if self.results == 0 and self.deaths >= DEATHS_WITHOUT_RESULT:
            raise EngineError(f"every worker process dies: {cause}", hint="see fer-prep doctor, or try --workers 1")


def usable_cpus() -> int:
    """How many processors this process may use: its affinity mask, and its container's quota where there is one."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, int(quota) // int(period)))


def default_engine(*, workers: int | None = None, threads: int = 1) -> Engine:
    """Processes on this machine, one a usable processor unless ``workers`` says how many; 0 means in this process."""
    if workers == 0:
        return InProcessEngine()
    return ProcessEngine(workers=workers or usable_cpus(), threads=threads)
