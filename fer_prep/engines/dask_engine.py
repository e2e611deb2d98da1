"""Per-sample work on a Dask cluster: a running one by its address, or one of processes on this machine.

Dask runs a task again by itself when its worker dies, and gives it up after some deaths (``allowed-failures`` of the
scheduler). Its suspicion falls on everything that the dead worker had been given. So a task that was given up gets a
second chance here, alone, as with ``ProcessEngine``; only one that takes a worker down then is answered ``WorkerDied``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, cast

import dask.config
from distributed import Client, Future, KilledWorker, LocalCluster, Security
from distributed.client import FutureCancelledError

from fer_prep.engines.engine import Item, Result, WorkerDied, usable_cpus
from fer_prep.engines.process_engine import ONE_THREAD
from fer_prep.errors import EngineError, InstallationError

DIED: Final = WorkerDied(reason="the Dask worker that ran it died (see that worker's log)")
"""Without the worker's address, which differs from run to run: it stands in the rejected table."""
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
        """Yield pairs as they finish. In flight: two items for each thread of the cluster."""
        waiting, suspects = iter(items), list[Item]()
        running: dict[Future[Any], Item] = {}
        finished: SimpleQueue[Future[Any]] = SimpleQueue()
        with self._client() as client:

            def submit(item: Item) -> None:
                future = client.submit(function, item, pure=False)
                running[future] = item
                future.add_done_callback(finished.put)

            def next_finished() -> tuple[Item, Result | WorkerDied]:
                while True:
                    with suppress(Empty):
                        future = finished.get(timeout=_POLL_S)
                        break
                    self._threads(client)
                item = running.pop(future)
                try:
                    return item, future.result()
                except KilledWorker:
                    return item, DIED

            try:
                for item in islice(waiting, 2 * self._threads(client)):
                    submit(item)
                while running:
                    item, outcome = next_finished()
                    for following in islice(waiting, 1):
                        submit(following)
                    if isinstance(outcome, WorkerDied):
                        suspects.append(item)
                    else:
                        yield item, outcome
                for item in suspects:  # alone
                    submit(item)
                    yield next_finished()
            except FutureCancelledError as error:
                raise EngineError(
                    f"the Dask scheduler was lost: {error}", hint="the same command continues where this one stopped"
                ) from None
            finally:  # what a worker has begun it ends, under temporary names that are never published
                client.cancel(list(running), force=True)

    def _threads(self, client: Client) -> int:
        """Of all workers, once one is connected; raises EngineError where none comes."""
        deadline = time.monotonic() + self.patience_s
        while not (threads := sum(cast(dict[str, int], client.nthreads()).values())):
            if time.monotonic() > deadline:
                raise EngineError(
                    f"no worker is connected to the Dask scheduler (waited {self.patience_s:.0f} s)",
                    hint="start workers (dask worker ADDRESS), then the same command: it continues",
                )
            time.sleep(0.1)
        return threads

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
