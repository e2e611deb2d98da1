"""One worker process: started by spawn, fed through a pipe, with its dying words kept.

Spawn and not fork: a process forked after MediaPipe was used dies inside malloc and takes the pool along.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any, Final

_CONTEXT: Final = get_context("spawn")

_SINGLE_THREADED: Final[dict[str, str]] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
"""Libraries read these when they are loaded. One thread each: the workers are the parallelism, and sums come out
in the same order whatever the number of processors."""

_KEEP_FREED_MEMORY: Final[dict[str, str]] = {
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(64 * 2**20),
}
"""glibc's malloc hands every array of a picture's size back to the system and asks for zeroed pages again: warping a
depth map takes 3 instead of 11 ms where it keeps them."""

_TUNABLES: Final = "GLIBC_TUNABLES"
_KEEP_SMALL_PIECES: Final = "glibc.malloc.tcache_count=2000"
"""MediaPipe makes thousands of small objects a picture and drops them; malloc keeps seven of a size at hand. With more
the detection takes 4 % less time."""


def worker_environment() -> dict[str, str]:
    """What every worker process should find in its environment when it starts, whoever starts it.

    What the user has tuned in glibc stays, and counts where it contradicts.
    """
    given = os.environ.get(_TUNABLES)
    tunables = f"{_KEEP_SMALL_PIECES}:{given}" if given else _KEEP_SMALL_PIECES
    return _SINGLE_THREADED | _KEEP_FREED_MEMORY | {_TUNABLES: tunables}


class Worker:
    """A running worker process, seen from its parent."""

    def __init__(self, function: Callable[[Any], Any], *, threads: int) -> None:
        self.was_ready = False
        """True once the process has started and loaded the function."""
        self._given: dict[int, Any] = {}
        self._count = 0
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self.connection, theirs = _CONTEXT.Pipe()
        with _environment_of_workers():
            self._process = _CONTEXT.Process(
                target=_work, args=(theirs, DupFd(self._words.fileno()), function, threads), daemon=True
            )
            self._process.start()
        theirs.close()

    @property
    def unfinished(self) -> list[Any]:
        """The items given and not answered yet, oldest first."""
        return list(self._given.values())

    def give(self, item: Any) -> None:
        """Send one more item; a worker that is dead already is noticed at the next ``receive``."""
        self._count += 1
        self._given[self._count] = item
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send((self._count, item))

    def receive(self) -> tuple[Any, Any] | None:
        """Wait for the next message: an (item, result) pair, or None for "I am ready".

        Raises EOFError where the worker has died, and what the function raised where it did.
        """
        try:
            number, result, error = self.connection.recv()
        except ConnectionResetError:
            raise EOFError from None
        if number is None:
            self.was_ready = True
            return None
        item = self._given.pop(number)
        if error is not None:
            raise error
        return item, result

    def receive_result(self) -> tuple[Any, Any]:
        """Wait for the next (item, result) pair; raises as ``receive`` does."""
        while (outcome := self.receive()) is None:
            pass
        return outcome

    def cause_of_death(self) -> str:
        """How a dead worker ended, with its last words: ``killed by SIGKILL (out of memory?)``."""
        self._process.join()
        code = self._process.exitcode or 0
        if code < 0:
            cause = f"worker process killed by {signal.Signals(-code).name}"
            cause += " (out of memory?)" if code == -signal.SIGKILL else ""
        else:
            cause = f"worker process ended with exit code {code}"
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - 2000))
        words = self._words.read().decode(errors="replace").strip().splitlines()
        self._words.close()
        self.connection.close()
        return f"{cause}; its last words: {words[-1].strip()}" if words else cause

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def join(self) -> None:
        """Wait for a killed process and close what was shared with it."""
        self._process.join()
        self.connection.close()
        self._words.close()


@contextmanager
def _environment_of_workers() -> Generator[None]:
    """What a process started inside inherits: settings of its libraries, Ctrl-C blocked (the parent ends it)."""
    wanted = worker_environment()
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(connection: Connection, words: Any, function: Callable[[Any], Any], threads: int) -> None:
    """The life of a worker: take items and answer them until the parent closes the pipe or dies.

    The threads fetch their items themselves, by turns: handing them over would wake up one more thread for each. The
    main thread waits for nothing but the end of the parent, which ends this process whatever the others are doing.
    """
    descriptor = words.detach()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    fetching, sending = threading.Lock(), threading.Lock()

    def answer(number: int | None, result: Any, error: BaseException | None) -> None:
        with sending:
            connection.send((number, result, error))

    def do(number: int, item: Any) -> None:
        try:
            answer(number, function(item), None)
        except BaseException as error:
            answer(number, None, _portable(error))

    def serve() -> None:
        try:
            while True:
                with fetching:
                    number, item = connection.recv()
                do(number, item)
        except (EOFError, ConnectionError):
            os._exit(0)  # the parent is gone
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    answer(None, None, None)
    for _ in range(threads):
        threading.Thread(target=serve, daemon=True).start()
    parent = select.poll()
    parent.register(connection.fileno(), 0)  # no events asked for: that the other end is closed is always told
    parent.poll()
    os._exit(0)


def _portable(error: BaseException) -> BaseException:
    """The error as it can travel to the parent, with its traceback as a note."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error class may fail in its own way when it is rebuilt
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(traceback.format_exc())
    return error
