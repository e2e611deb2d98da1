"""What computes: device, precision, threads, determinism; one process alone or several started by ``torchrun``."""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import torch
from torch import distributed

from fer_train.config import MachineSettings
from fer_train.environment import choose_device, choose_precision
from fer_train.training.threads import settle_threads
from fer_train.training.torchrun import launched_by_torchrun

_T = TypeVar("_T")
_AUTOCAST: Final = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One process of a training."""

    device: torch.device
    precision: str = "32-true"
    """``32-true``, ``bf16-mixed`` or ``16-mixed``."""
    rank: int = 0
    """Number of this process among those that share a training."""
    world: int = 1
    """How many they are."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        """Inside, forward passes compute in the lower precision where one is set."""
        dtype = _AUTOCAST.get(self.precision)
        return torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps gradients of float16 away from 0; does nothing in other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "16-mixed")

    def broadcast(self, value: _T) -> _T:
        """What the first process has, in all of them."""
        if self.world == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box)
        return box[0]


def set_up_machine(settings: MachineSettings, *, say: Callable[[str], None] = lambda text: None) -> Machine:
    """Set this process's threads and determinism, choose its device, and join the other processes of ``torchrun``.

    ``say`` hears how many threads it will be, and why.
    """
    say(settle_threads(settings.threads))
    torch.backends.cudnn.benchmark = settings.autotune
    if settings.deterministic:
        # cuBLAS reads this when it starts: it must be set before the first product on the GPU
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    device = choose_device(settings.device)
    if device.type == "cpu":
        keep_freed_memory()
    if not launched_by_torchrun():
        return Machine(device=device, precision=choose_precision(settings.precision, device))
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Machine(
        device=device,
        precision=choose_precision(settings.precision, device),
        rank=distributed.get_rank(),
        world=distributed.get_world_size(),
    )


def seed_libraries(seed: int) -> None:
    """Seed PyTorch, and the global generators that third-party code may draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - not for us: for libraries that use the global generator


def keep_freed_memory() -> bool:
    """Stop this process from returning freed memory to the system; False where its C library cannot.

    glibc hands every block of a batch's size back to the kernel and asks for zeroed pages again, step after step: on
    two cores with two small streams at 96², forward and backward of 32 pairs take 0.97 s that way and 0.25 s where the
    memory is kept. The numbers are those of ``man mallopt``; other C libraries have none and need none.
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(
        mallopt(name, value) == 1 for name, value in ((mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 64 * 2**20))
    )
