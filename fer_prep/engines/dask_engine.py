"""Per-sample work on a Dask cluster: a running one by its address, or one of processes on this machine.

Dask runs a task again by itself when its worker dies, and gives it up after some deaths (``allowed-failures`` of the
scheduler). Its suspicion falls on everything that the dead worker had been given. So a task that was given up gets a
second chance here, alone, as with ``ProcessEngine``; only one that takes a worker down then is answered ``WorkerDied``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, cast
from uuid import uuid4

import dask.config
from distributed import Client, Future, KilledWorker, LocalCluster, Security
from distributed.client import FutureCancelledError

from fer_prep.engines.engine import Item, Result, WorkerDied, usable_cpus
from fer_prep.engines.process_engine import ONE_THREAD
from fer_prep.errors import EngineError, InstallationError

DIED: Final = WorkerDied(reason="the Dask worker that ran it died (see that worker's log)")
"""Without the worker's address, which differs from run to run: it stands in the rejected table."""
BATCH: Final = 8
"""Items of one Dask task: a task costs client and scheduler about 4 ms, which would end scaling at a dozen workers."""
_POLL_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class DaskEngine:
    """Workers of a Dask cluster. ``function`` and items travel by pickle; workers must see the same files.

    ``scheduler`` is the address of a running scheduler or the path of its scheduler file. Empty: ``workers`` processes
    are started here for the time of a run; they speak TLS with keys of that run, on the loopback, and serve no pages.
    """

    scheduler: str = ""
    workers: int = 0
    """Processes of a cluster started here; 0 is one a usable processor."""
    patience_s: float = 120.0
    """How long to wait for workers where there is none, at the start and whenever the last one is gone."""

    @property
    def remote(self) -> bool:
        """True for a cluster that was there before."""
        return bool(self.scheduler)

    def run(
        self, function: Callable[[Item], Result], *, items: Iterable[Item]
    ) -> Generator[tuple[Item, Result | WorkerDied], None, None]:
        """Yield pairs as they finish. In flight: at most two batches of items for each thread of the cluster."""
        with self._client() as client:
            tasks = _Tasks(client=client, function=function, patience_s=self.patience_s)
            try:
                tasks.wait_for_workers()
                yield from tasks.first_pass(iter(items))
                yield from tasks.second_chance()
            except FutureCancelledError as error:
                raise EngineError(
                    f"the Dask scheduler was lost: {error}", hint="the same command continues where this one stopped"
                ) from None
            finally:
                tasks.stop()

    @contextmanager
    def _client(self) -> Generator[Client]:
        """A connection to the given cluster, or to one that ends with the connection."""
        with ExitStack() as open_things:
            if self.scheduler:
                yield open_things.enter_context(_connect(self.scheduler, timeout_s=min(30.0, self.patience_s)))
            else:
                cluster = open_things.enter_context(self._cluster_here())
                yield open_things.enter_context(Client(cluster, set_as_default=False))

    def _cluster_here(self) -> LocalCluster:
        """Processes on this machine that nobody else can talk to: whoever reaches an open Dask port runs code there."""
        try:
            keys = Security.temporary()
        except ImportError:
            missing = "--engine dask without --scheduler needs the Python package cryptography, which is not installed"
            raise InstallationError(missing, hint="pip install 'fer-rgbd[cluster]'") from None
        # limits of memory and restarts are the machine's business; a death is judged at once, as by ProcessEngine
        settings = {
            "distributed.nanny.pre-spawn-environ": ONE_THREAD,
            "distributed.scheduler.allowed-failures": 0,
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
        }
        with dask.config.set(settings):
            options: dict[str, Any] = {"dashboard_address": None, "silence_logs": logging.CRITICAL, "memory_limit": 0}
            return LocalCluster(
                security=keys,
                n_workers=self.workers or usable_cpus(),
                threads_per_worker=1,
                processes=True,
                **options,
            )


@dataclass(kw_only=True)
class _Tasks:
    """The tasks of one run on a cluster, and the items of those that were given up."""

    client: Client
    function: Callable[[Any], Any]
    patience_s: float
    running: dict[Future[Any], list[Any]] = field(default_factory=dict[Future[Any], list[Any]])
    finished: SimpleQueue[Future[Any]] = field(default_factory=SimpleQueue[Future[Any]])
    suspects: list[Any] = field(default_factory=list[Any])
    name: str = field(default_factory=lambda: f"fer-prep-{uuid4().hex[:8]}")
    count: int = 0
    room: int = 0
    """How many batches may be in flight."""

    def wait_for_workers(self) -> None:
        """Return once a worker is connected; raises EngineError where none comes."""
        deadline = time.monotonic() + self.patience_s
        while not (threads := sum(cast(dict[str, int], self.client.nthreads()).values())):
            if time.monotonic() > deadline:
                raise EngineError(
                    f"no worker is connected to the Dask scheduler (waited {self.patience_s:.0f} s)",
                    hint="start workers (dask worker ADDRESS), then the same command: it continues",
                )
            time.sleep(0.1)
        self.room = 2 * threads

    def first_pass(self, items: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        """Run all items; those of batches that Dask gives up become suspects."""
        exhausted = False
        while True:
            while not exhausted and len(self.running) < self.room:
                batch = list(islice(items, BATCH))
                exhausted = len(batch) < BATCH
                if batch:
                    self._submit(batch)
            if not self.running:
                return
            future = self._next_finished()
            batch = self.running.pop(future)
            try:
                outcomes = future.result()
            except KilledWorker:
                self.suspects += batch
            else:
                yield from zip(batch, outcomes, strict=True)

    def second_chance(self) -> Iterator[tuple[Any, Any]]:
        """Run each suspect once more, alone."""
        for item in self.suspects:
            self._submit([item])
            future = self._next_finished()
            self.running.clear()
            try:
                (outcome,) = future.result()
            except KilledWorker:
                outcome = DIED
            yield item, outcome

    def stop(self) -> None:
        """Drop what has not begun. What a worker has begun it ends, under temporary names that are never published."""
        if self.running:
            self.client.cancel(list(self.running), force=True)

    def _submit(self, batch: list[Any]) -> None:
        self.count += 1
        future = self.client.submit(_apply, self.function, batch, key=f"{self.name}-{self.count}", pure=False)
        self.running[future] = batch
        future.add_done_callback(self.finished.put)

    def _next_finished(self) -> Future[Any]:
        """Wait for a task to end, however; raises EngineError where no worker is left to do any."""
        while True:
            try:
                return self.finished.get(timeout=_POLL_S)
            except Empty:
                self.wait_for_workers()


def _apply(function: Callable[[Any], Any], batch: list[Any]) -> list[Any]:
    """What a worker does with a batch."""
    return [function(item) for item in batch]


def _connect(scheduler: str, *, timeout_s: float) -> Client:
    """A client of a running scheduler, by address or scheduler file."""
    by_file = "://" not in scheduler and Path(scheduler).suffix == ".json"
    try:
        where: dict[str, Any] = {"scheduler_file": scheduler} if by_file else {"address": scheduler}
        return Client(**where, timeout=timeout_s, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineError(
            f"no Dask scheduler answers at {scheduler}: {reason}",
            hint="start one (dask scheduler --scheduler-file FILE.json) and give its address or that file",
        ) from None
