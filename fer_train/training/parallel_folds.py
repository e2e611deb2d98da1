"""Folds side by side: several processes, each with a device and the data of its own, train one fold each.

Folds know nothing of each other, so this needs no exchange and loses nothing, unlike several processes inside a fold.
A process that dies takes its fold along and no other; that fold goes on from its checkpoint when the others are done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from fer_prep.engines.process_engine import ProcessEngine
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

    Returns the results in the order of ``indices``. A fold that fails or dies twice is told to ``say`` and the others
    go on; at the end EngineError names those that are missing.
    """
    shares = shares_of_machine(config, count=min(config.machine.parallel_folds, len(indices)))
    devices = ", ".join(dict.fromkeys(share.machine.device for share in shares))
    say(f"{len(shares)} folds side by side on {devices}; to look on: tensorboard --logdir {run.path}")
    train = partial(_train_fold, data_path=data_path, manifest=manifest, shares=shares, run=run)
    results: dict[int, FoldResult] = {}
    failures: dict[int, str] = {}
    again = f"continue with: fer-train kfold --resume --out {run.path}"
    try:
        for index, outcome in ProcessEngine(workers=len(shares)).run(train, items=indices):
            if isinstance(outcome, FoldResult):
                results[index] = outcome
                done(outcome)
            else:
                failures[index] = outcome if isinstance(outcome, str) else outcome.reason
                say(f"{manifest.title(index)} failed: {failures[index]}")
    except EngineError as error:
        hint = f"train fewer at a time (--parallel-folds), or {again}"
        raise EngineError(error.message, path=run.path, hint=hint) from None
    if failures:
        reasons = (f"fold {index}: {reason.splitlines()[0]}" for index, reason in sorted(failures.items()))
        raise EngineError(
            f"{len(failures)} of {len(indices)} folds did not finish: {'; '.join(reasons)}",
            path=run.path,
            hint=f"the others are kept; {again}",
        )
    return [results[index] for index in indices]


def shares_of_machine(config: Config, *, count: int) -> list[Config]:
    """The settings of ``count`` trainings at a time: the device of each, and its share of threads and memory.

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


def _train_fold(
    index: int, *, data_path: Path, manifest: FoldManifest, shares: Sequence[Config], run: RunFolder
) -> FoldResult | str:
    """In a process of its own; an error in words, which ends this fold alone."""
    config = shares[index % len(shares)]
    try:
        machine = set_up_machine(config.machine)
        data = open_data(data_path, config=config, device=machine.device, classes=manifest.classes)
        folder = run.fold(index)
        return run_fold(index, manifest=manifest, data=data, config=config, machine=machine, folder=folder, show=False)
    except FerError as error:
        return str(error)
