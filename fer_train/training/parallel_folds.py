"""Folds side by side: several processes, each with a device and the data of its own, train one fold each.

Folds know nothing of each other, so this needs no exchange and loses nothing, unlike several processes inside a fold.
Every fold has a process of its own: one that dies takes its fold along and no other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from queue import SimpleQueue

import torch

from fer_prep.errors import EngineError, FerError
from fer_prep.folds.splits import FoldManifest
from fer_train.config import Config
from fer_train.data.memory import AUTO, memory_limit
from fer_train.environment import choose_device
from fer_train.training.fold import FoldResult, open_data, run_fold
from fer_train.training.machine import set_up_machine
from fer_train.training.run_folder import RunFolder


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
    free: SimpleQueue[Config] = SimpleQueue()
    for share in shares:
        free.put(share)

    def train(index: int) -> FoldResult:
        share = free.get()
        try:
            # a forked process cannot use a GPU that its parent has used
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawn, initializer=_follow_parent) as process:
                return process.submit(_train_fold, index, data_path, manifest, share, run).result()
        except BrokenProcessPool:
            raise EngineError("its process died (killed, or out of memory)") from None
        finally:
            free.put(share)

    results: dict[int, FoldResult] = {}
    failures: dict[int, str] = {}
    with ThreadPoolExecutor(len(shares)) as threads:
        running = {threads.submit(train, index): index for index in indices}
        try:
            for future in as_completed(running):
                index = running[future]
                try:
                    results[index] = future.result()
                    done(results[index])
                except FerError as error:
                    failures[index] = str(error)
                    say(f"{manifest.title(index)} failed: {failures[index]}")
        except BaseException:
            # whatever ends this early (Ctrl-C, an error) ends the processes too: they would train on unseen
            threads.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.kill()
            raise
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
    """In a child."""
    machine = set_up_machine(config.machine)
    data = open_data(data_path, config=config, device=machine.device, classes=manifest.classes)
    folder = run.fold(index)
    return run_fold(index, manifest=manifest, data=data, config=config, machine=machine, folder=folder, show=False)
