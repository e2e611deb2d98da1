"""How much memory the images of a dataset may take on the device, as the user says it or as the machine has it."""

from __future__ import annotations

import os
import re
from typing import Final

import torch

from fer_prep.errors import UsageError
from fer_prep.free_memory import free_memory_bytes

AUTO: Final = "auto"
SHARE_OF_FREE: Final = 0.5
"""What the dataset may take of the free memory by itself; network, activations and the system want the rest."""

_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def memory_limit(setting: str, device: torch.device) -> tuple[int, str]:
    """(bytes that images may take on the device, where that number comes from)."""
    if setting != AUTO:
        return parse_bytes(setting), "as set"
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = free_memory_bytes() / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes share it
    return int(free * SHARE_OF_FREE), "half of what is free"


def parse_bytes(text: str) -> int:
    """``8GB``, ``500 MB``, ``0``: decimal units.

    >>> parse_bytes("1.5GB")
    1500000000
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*", text.upper())
    if not found:
        raise UsageError(f"machine.data_memory = {text!r}: expected auto or a size such as 8GB; 0 always streams")
    return int(float(found[1]) * _UNITS[found[2]])


def describe_bytes(count: int) -> str:
    """``4.1 GB``, ``350 MB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
