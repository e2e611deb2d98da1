"""The most memory that this process, or its GPU, has used since the last reset."""

from __future__ import annotations

import re
import resource
from contextlib import suppress
from pathlib import Path

import torch


def reset_peak_memory(device: torch.device) -> None:
    """Start anew; where the system does not let us, the peak is that of the whole life of the process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # man proc: resets VmHWM


def peak_memory_bytes(device: torch.device) -> int:
    """On a GPU what PyTorch had allocated there, on a CPU the resident memory of this process without its workers."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
