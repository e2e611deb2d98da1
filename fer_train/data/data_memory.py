"""Whether a dataset's pixels are kept on the device or streamed: its size against the memory that is free."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch

from fer_prep.dataset.direct import DirectPixels
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.free_memory import free_memory_bytes
from fer_prep.progress import Progress, silent
from fer_train.config import MachineSettings
from fer_train.data.pixel_store import BYTES_A_PIXEL, PixelStore, open_wanted
from fer_train.data.resident import ResidentData
from fer_train.data.streaming import PIECES_AHEAD, ROWS_A_PIECE, StreamingData

AUTO: Final = "auto"
SHARE_OF_FREE: Final = 0.5
"""What the dataset may take of the free memory by itself; network, activations and the system want the rest."""

MOST_WORKERS: Final = 8
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SHARED_MEMORY: Final = Path("/dev/shm")


def load_data(
    path: Path,
    *,
    device: torch.device,
    machine: MachineSettings | None = None,
    classes: Sequence[str] | None = None,
    image_size: int | None = None,
    equalise: bool = False,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> PixelStore:
    """The dataset in memory if it fits, else streamed; ``say`` hears which and why.

    ``machine`` (default: its defaults) has the limit and the number of reading workers.
    """
    machine = machine or MachineSettings()
    file, wanted = open_wanted(path, classes=classes, image_size=image_size, equalise=equalise)
    needed = file.n * wanted.image_size**2 * BYTES_A_PIXEL
    limit, source = memory_limit(machine.data_memory, device)
    pixels = f"data: {describe_bytes(needed)} of pixels, {describe_bytes(limit)} allowed on {device} ({source})"
    if needed <= limit:
        say(f"{pixels}: kept there")
        return ResidentData.read(file, wanted, device=device, progress=progress)
    direct = DirectPixels.of(file)
    workers, reason = reading_workers(machine.reading_workers, device, file=file, processes=direct is None)
    kind = "thread" if direct else "process" if workers == 1 else "processe"
    say(f"{pixels}: streamed, {workers or 'no'} reading {kind}{'s' if workers != 1 else ''}{reason}")
    return StreamingData(file, wanted, device=device, workers=workers, direct=direct, progress=progress)


def memory_limit(setting: str, device: torch.device) -> tuple[int, str]:
    """(bytes that pixels may take on the device, where that number comes from)."""
    if setting != AUTO:
        return parse_bytes(setting), "as set"
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * SHARE_OF_FREE), "half of what is free"
    return int(free_memory_bytes() / processes_here() * SHARE_OF_FREE), "half of what is free"


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


def reading_workers(wanted: int, device: torch.device, *, file: DatasetFile, processes: bool) -> tuple[int, str]:
    """(number of reading threads or processes, remark): by the processors, and by the shared memory that the batches of
    processes pass through.
    """
    if wanted < 0:
        # on a CPU the network wants the processors itself, and one thread reads more than it can take
        per_process = len(os.sched_getaffinity(0)) // processes_here()
        wanted = min(MOST_WORKERS, max(1, per_process - 1)) if device.type == "cuda" else 1
    if not wanted or not processes or not _SHARED_MEMORY.is_dir():
        return wanted, ""
    piece = ROWS_A_PIECE * file.height * file.width * BYTES_A_PIXEL
    # one more that is being read, one that is being used
    fitting = int(shutil.disk_usage(_SHARED_MEMORY).free // (piece * (PIECES_AHEAD + 2)))
    if fitting >= wanted:
        return wanted, ""
    return fitting, f" (more do not fit into {_SHARED_MEMORY}; containers get more by --shm-size)"


def processes_here() -> int:
    """How many training processes share this machine: those of torchrun."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
