"""Folds side by side: several processes, each with a device and the data of its own, train one fold after the other.

Folds know nothing of each other, so this needs no exchange and loses nothing, unlike several processes inside a fold.
Every place has an executor of one process: a process that dies takes its own fold along and no other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing import connection
from pathlib import Path
from typing import Final, final

import torch

from fer_prep.errors import EngineError, FerError
from fer_prep.folds.splits import FoldManifest
from fer_train.config import Config
from fer_train.data.data_memory import AUTO, load_data, memory_limit
from fer_train.data.pixel_store import PixelStore
from fer_train.environment import choose_device
from fer_train.training.fold import FoldResult, run_fold
from fer_train.training.machine import make_fabric, set_up_machine
from fer_train.training.run_folder import RunFolder

_CONTEXT: Final = multiprocessing.get_context("spawn")
"""A forked process cannot use a GPU that its parent has used."""


@final
@dataclass
class _Place:
    """One process at a time, with the settings of its own share of the machine."""

    config: Config
    executor: ProcessPoolExecutor = field(default_factory=lambda: _executor())

    def renew(self) -> None:
        """A new process for one that died."""
        self.executor = _executor()


def run_side_by_side(
    indices: Sequence[int],
    *,
    data_path: Path,
    manifest: FoldManifest,
    config: Config,
    run: RunFolder,
    say: Callable[[str], None],
    done: Callable[[FoldResult], None],
) -> list[FoldResult]:
    """Train the folds ``indices``, ``machine.parallel_folds`` at a time; ``done`` hears of each at its end.

    Returns the results in the order of ``indices``. A fold that fails or dies is told to ``say`` and the others go on;
    at the end EngineError names those that are missing.
    """
    shares = shares_of_machine(config, count=min(config.machine.parallel_folds, len(indices)))
    devices = ", ".join(dict.fromkeys(share.machine.device for share in shares))
    say(f"{len(shares)} folds side by side on {devices}; to look on: tensorboard --logdir {run.path}")
    results: dict[int, FoldResult] = {}
    failures: dict[int, str] = {}
    waiting, free = deque(indices), deque(_Place(share) for share in shares)
    running: dict[Future[FoldResult], tuple[int, _Place]] = {}
    with _ending_processes():
        while waiting or running:
            while waiting and free:
                place, index = free.popleft(), waiting.popleft()
                future = place.executor.submit(_train_fold, index, data_path, manifest, place.config, run)
                running[future] = index, place
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                index, place = running.pop(future)
                try:
                    results[index] = future.result()
                    done(results[index])
                except BrokenProcessPool:
                    place.renew()
                    failures[index] = "its process died (killed, or out of memory)"
                except FerError as error:
                    failures[index] = str(error)
                if index in failures:
                    say(f"{manifest.title(index)} failed: {failures[index]}")
                free.append(place)
        for place in free:
            place.executor.shutdown()
    if failures:
        reasons = (f"fold {index}: {reason.splitlines()[0]}" for index, reason in sorted(failures.items()))
        raise EngineError(
            f"{len(failures)} of {len(indices)} folds did not finish: {'; '.join(reasons)}",
            path=run.path,
            hint=f"the others are kept; continue with: fer-train kfold --resume --out {run.path}",
        )
    return [results[index] for index in indices]


def shares_of_machine(config: Config, *, count: int) -> list[Config]:
    """The settings of each of ``count`` processes: its device, and its share of threads and memory.

    GPUs are dealt out in turn; on a CPU the processes share its threads.
    """
    machine, device = config.machine, choose_device(config.machine.device)
    gpus = torch.cuda.device_count() if machine.device in ("auto", "cuda") and device.type == "cuda" else 0
    on_one_device = -(-count // gpus) if gpus else count
    memory = machine.data_memory
    if memory == AUTO and on_one_device > 1:
        memory = str(memory_limit(AUTO, device)[0] // on_one_device)
    return [
        replace(
            config,
            machine=replace(
                machine,
                device=f"cuda:{number % gpus}" if gpus else str(device),
                threads=machine.threads or max(1, torch.get_num_threads() // count),
                data_memory=memory,
                parallel_folds=1,
            ),
        )
        for number in range(count)
    ]


def _executor() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=_CONTEXT, initializer=_follow_parent)


@contextmanager
def _ending_processes() -> Generator[None]:
    """Whatever ends the block early (Ctrl-C, an error) ends the processes too: they would train on unseen."""
    before = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.kill()
        raise


def _follow_parent() -> None:
    """In a child: leave Ctrl-C to the parent, and end when the parent does, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _train_fold(index: int, data_path: Path, manifest: FoldManifest, config: Config, run: RunFolder) -> FoldResult:
    """In a child: one fold, with data that stays on the device for the next one."""
    device = set_up_machine(config.machine)
    data = _data_of_this_process(data_path, config, manifest.classes)
    fabric = make_fabric(device, config.machine)
    return run_fold(
        index, manifest=manifest, data=data, config=config, fabric=fabric, folder=run.fold(index), show=False
    )


@lru_cache(maxsize=1)
def _data_of_this_process(data_path: Path, config: Config, classes: tuple[str, ...]) -> PixelStore:
    return load_data(
        data_path,
        device=choose_device(config.machine.device),
        machine=config.machine,
        classes=classes,
        image_size=config.data.image_size,
        equalise=config.data.equalise_luma,
    )
