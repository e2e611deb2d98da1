"""Worker processes on this machine, one item at a time in each; pebble's pool replaces those that die.

Workers are started by spawn: a process forked after MediaPipe was used dies inside malloc.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pebble import ProcessExpired, ProcessPool

from fer_prep.engines.engine import Item, Result, WorkerDied
from fer_prep.errors import EngineError

DEATHS_WITHOUT_RESULT: Final = 5
"""So many dead workers before the first result mean that this machine cannot do the work at all."""

ONE_THREAD: Final[dict[str, str]] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
"""Libraries read these when they are loaded. One thread each: the workers are the parallelism, and sums come out
in the same order whatever the number of processors."""


@dataclass(frozen=True, kw_only=True)
class ProcessEngine:
    """``workers`` processes, never more than there are items. In flight: at most two items a worker."""

    workers: int
    remote = False

    def run(
        self, function: Callable[[Item], Result], *, items: Iterable[Item]
    ) -> Generator[tuple[Item, Result | WorkerDied], None, None]:
        """Yield pairs as they finish; an item whose worker died is tried once more at the end, alone."""
        waiting = iter(items)
        first = list(islice(waiting, self.workers))
        if not first:
            return
        with _pool(len(first), function=function) as pool:
            suspects: list[Item] = []
            answered = False
            for item, outcome in pool.run_all(chain(first, waiting)):
                if isinstance(outcome, WorkerDied):
                    suspects.append(item)
                    if not answered and len(suspects) >= DEATHS_WITHOUT_RESULT:
                        hint = "see fer-prep doctor, or try --workers 1"
                        raise EngineError(f"every worker process dies: {outcome.reason}", hint=hint)
                else:
                    answered = True
                    yield item, outcome
            for item in suspects:  # alone: memory may have been short because of its neighbours
                yield from pool.run_all([item])


@dataclass(frozen=True)
class _Pool:
    pool: ProcessPool
    size: int
    words: Path
    """The folder where every worker writes what it would say on the terminal, into a file named by its id."""

    def run_all(self, items: Iterable[Any]) -> Generator[tuple[Any, Any]]:
        """Each item with what became of it, as they finish."""
        waiting, running = iter(items), dict[Future[Any], Any]()
        while True:
            for item in islice(waiting, 2 * self.size - len(running)):
                running[self.pool.schedule(_work, args=(item,))] = item
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), self._outcome(future)

    def _outcome(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except ProcessExpired as death:
            return WorkerDied(reason=self._cause(death))
        except BrokenProcessPool as error:
            hint = "see fer-prep doctor, or try --workers 0"
            raise EngineError(f"worker processes cannot start or answer: {error}", hint=hint) from None

    def _cause(self, death: ProcessExpired) -> str:
        """How a worker ended, with its last words: ``worker process killed by SIGKILL (out of memory?)``."""
        if death.exitcode < 0:
            cause = f"worker process killed by {signal.Signals(-death.exitcode).name}"
            cause += " (out of memory?)" if death.exitcode == -signal.SIGKILL else ""
        else:
            cause = f"worker process ended with exit code {death.exitcode}"
        lines = (self.words / str(death.pid)).read_text(errors="replace").strip().splitlines()
        return f"{cause}; its last words: {lines[-1].strip()}" if lines else cause


@contextmanager
def _pool(size: int, *, function: Callable[[Any], Any]) -> Generator[_Pool]:
    """A pool whose workers have loaded ``function``; at the end all are killed: what they write has no name yet."""
    environment = dict(os.environ)
    os.environ.update(ONE_THREAD)
    with TemporaryDirectory(prefix="fer-prep-workers-") as words:
        pool = ProcessPool(size, initializer=_begin, initargs=(words, function), context=get_context("spawn"))
        try:
            _start(pool)
            yield _Pool(pool, size, Path(words))
        finally:
            pool.stop()
            pool.join()
            os.environ.clear()
            os.environ.update(environment)


def _start(pool: ProcessPool) -> None:
    """Start the workers with Ctrl-C blocked: they inherit that, as do those that replace them."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        if not pool.active:
            raise EngineError("no worker process can be started", hint="see fer-prep doctor, or try --workers 0")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_function: Callable[[Any], Any]


def _begin(words: str, function: Callable[[Any], Any]) -> None:
    """The start of a worker: its output goes to a file, and it ends at once when told to or when its parent is gone."""
    global _function
    _function = function
    output = os.open(Path(words) / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(item: Any) -> Any:
    return _function(item)
