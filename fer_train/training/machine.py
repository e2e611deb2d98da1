"""Makes this process ready to compute: threads, determinism, device; Lightning Fabric over one or more processes."""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from fer_train.config import MachineSettings
from fer_train.environment import choose_device, choose_precision
from fer_train.training.host_memory import keep_freed_memory
from fer_train.training.processes import launched_by_torchrun


def set_up_machine(settings: MachineSettings) -> torch.device:
    """Choose the device, set PyTorch's threads and determinism for this process."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = settings.autotune
    if settings.deterministic:
        # cuBLAS reads this when it starts: it must be set before the first product on the GPU
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    device = choose_device(settings.device)
    if device.type == "cuda" and launched_by_torchrun():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if device.type == "cpu":
        keep_freed_memory()
    return device


def make_fabric(device: torch.device, settings: MachineSettings) -> Fabric:
    """Lightning Fabric with the wanted precision: on one device, or joined to the other processes of ``torchrun``."""
    precision: Any = choose_precision(settings.precision, device)
    if not launched_by_torchrun():
        devices: Any = [device.index or 0] if device.type == "cuda" else 1
        return Fabric(accelerator=device.type, devices=devices, precision=precision)
    here, all_together = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    fabric = Fabric(
        accelerator=device.type,
        devices=here,
        num_nodes=all_together // here,
        # running statistics are put together by SharedBatchStatistics; handing round those of rank 0 would undo it
        strategy=DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True),
        precision=precision,
    )
    fabric.launch()
    return fabric
