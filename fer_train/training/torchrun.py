"""Whether this is one of several processes that PyTorch's launcher started; known without loading PyTorch."""

from __future__ import annotations

import os


def launched_by_torchrun() -> bool:
    """True in a process that ``torchrun`` has started."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_process() -> bool:
    """True in the process that writes files and talks: the only one, or rank 0 of torchrun."""
    return not launched_by_torchrun() or os.environ["RANK"] == "0"
