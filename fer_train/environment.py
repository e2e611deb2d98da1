"""What a result was computed with: versions, machine, device. Kept as ``environment.json`` in every run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch

from fer_prep.errors import UsageError
from fer_train import __version__

PACKAGES: Final = (
    "torch",
    "torchvision",
    "timm",
    "scikit-learn",
    "numpy",
    "h5py",
    "safetensors",
    "matplotlib",
    "tensorboard",
)


def describe_environment(device: torch.device, *, arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Versions, operating system, processor and device, JSON-able."""
    return {
        "fer_rgbd": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *map(_without_folders, sys.argv[1:] if arguments is None else arguments)],
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": describe_device(device),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def describe_device(device: torch.device) -> dict[str, Any]:
    """The name and memory of the device that computes."""
    if device.type != "cuda":
        return {"type": device.type}
    properties = torch.cuda.get_device_properties(device)
    return {
        "type": "cuda",
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
    }


def choose_device(name: str) -> torch.device:
    """The device a setting names; ``auto`` takes a GPU where PyTorch finds one, else the CPU."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"machine.device = {name!r}: expected auto, cpu, cuda, cuda:1 or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"machine.device = {name!r}: PyTorch finds {torch.cuda.device_count()} CUDA devices here",
            hint="use machine.device=cpu, or install a PyTorch built for this machine's GPU",
        )
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """The precision: ``auto`` is bf16 autocast on GPUs that compute in it, float16 on other ones, else float32.

    PyTorch also counts GPUs that only emulate bf16, and slowly: a Tesla T4, on which the thesis was made.
    """
    if name != "auto" or device.type != "cuda":
        return "32-true" if name == "auto" else name
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def _without_folders(argument: str) -> str:
    """Absolute paths by their last part alone: the folders above tell user names and how a machine is laid out."""
    return re.sub(r"(?<![\w.~])/(?:[^/\s]+/)+", "…/", argument)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
