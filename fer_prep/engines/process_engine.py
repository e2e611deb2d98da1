"""Worker processes on this machine, one item at a time in each; one that dies costs its own item and is replaced.

Every worker has a pipe of its own, and the parent alone says what goes into it: so it always knows which item a dead
worker had. Workers are started by spawn: a process forked after MediaPipe was used dies inside malloc.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

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
    """``workers`` processes, never more than there are items."""

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
        with _pool(function) as pool:
            suspects: list[Item] = []
            answered = False
            for item, outcome in pool.run_all(chain(first, waiting), size=len(first)):
                if isinstance(outcome, WorkerDied):
                    suspects.append(item)
                    if not answered and len(suspects) >= DEATHS_WITHOUT_RESULT:
                        hint = "see fer-prep doctor, or try --workers 0"
                        raise EngineError(f"every worker process dies: {outcome.reason}", hint=hint)
                else:
                    answered = True
                    yield item, outcome
            for item in suspects:  # alone: memory may have been short because of its neighbours
                yield from pool.run_all([item], size=1)


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection


class _Pool:
    def __init__(self, function: Callable[[Any], Any], words: Path) -> None:
        self._function, self._words = function, words
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Any]] = {}

    def run_all(self, items: Iterable[Any], *, size: int) -> Generator[tuple[Any, Any]]:
        """Each item with what became of it, as they finish; a worker gets its next item before an answer is told."""
        waiting = iter(items)
        while True:
            for item in islice(waiting, size - len(self._busy)):
                self._give(item)
            if not self._busy:
                return
            answers = [self._answer(pipe) for pipe in wait(list(self._busy)) if isinstance(pipe, Connection)]
            for item in islice(waiting, size - len(self._busy)):
                self._give(item)
            yield from answers

    def _give(self, item: Any) -> None:
        worker = self._idle.pop() if self._idle else self._start()
        self._busy[worker.pipe] = worker, item
        with suppress(OSError):  # where it has died, its pipe says so when it is read
            worker.pipe.send(item)

    def _answer(self, pipe: Connection) -> tuple[Any, Any]:
        worker, item = self._busy.pop(pipe)
        try:
            error, result = pipe.recv()
        except (EOFError, OSError):  # it died, perhaps in the middle of its answer
            worker.process.join()
            return item, WorkerDied(reason=self._cause(worker.process))
        self._idle.append(worker)
        if error is not None:
            raise error
        return item, result

    def _start(self) -> _Worker:
        """Start a worker with Ctrl-C blocked, which it inherits: the parent alone answers that."""
        pipe, its_end = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_work, args=(its_end, self._words, self._function), daemon=True)
        environment = dict(os.environ)
        os.environ.update(ONE_THREAD)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        except OSError as error:
            hint = "see fer-prep doctor, or try --workers 0"
            raise EngineError(f"no worker process can be started: {error}", hint=hint) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.environ.clear()
            os.environ.update(environment)
        its_end.close()
        return _Worker(process, pipe)

    def _cause(self, process: SpawnProcess) -> str:
        """How a worker ended, with its last words: ``worker process killed by SIGKILL (out of memory?)``."""
        code = process.exitcode or 0
        if code < 0:
            cause = f"worker process killed by {signal.Signals(-code).name}"
            cause += " (out of memory?)" if code == -signal.SIGKILL else ""
        else:
            cause = f"worker process ended with exit code {code}"
        words = self._words / str(process.pid)
        lines = words.read_text(errors="replace").strip().splitlines() if words.exists() else []
        return f"{cause}; its last words: {lines[-1].strip()}" if lines else cause

    def kill(self) -> None:
        """End all workers at once: what they write has no name yet."""
        workers = [*self._idle, *(worker for worker, _ in self._busy.values())]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()


_SPAWN: Final = get_context("spawn")


@contextmanager
def _pool(function: Callable[[Any], Any]) -> Generator[_Pool]:
    with TemporaryDirectory(prefix="fer-prep-workers-") as words:
        pool = _Pool(function, Path(words))
        try:
            yield pool
        finally:
            pool.kill()


def _work(pipe: Connection, words: Path, function: Callable[[Any], Any]) -> None:
    """A worker's life: its output goes to a file named by its id, and it ends when its parent is gone."""
    output = os.open(words / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        item = pipe.recv()
        try:
            answer = pickle.dumps((None, function(item)))
        except Exception as error:  # the parent raises it
            answer = _as_bytes(error)
        pipe.send_bytes(answer)


def _as_bytes(error: Exception) -> bytes:
    """The error itself where it can travel, with what the worker saw; else what it says."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        answer = pickle.dumps((error, None))
        pickle.loads(answer)
    except Exception as why:
        return pickle.dumps((EngineError(f"a worker raised {error!r}, which cannot be pickled: {why}"), None))
    return answer


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
