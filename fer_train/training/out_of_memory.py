"""Errors of PyTorch that a setting mends: out of memory, and a micro-batch of one sample under batch normalisation."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import torch

from fer_prep.errors import UsageError

_OF_BATCH_NORMALISATION: Final = "Expected more than 1 value per channel"
"""How PyTorch's complaint about a single value begins."""


@contextmanager
def explaining_memory_and_lone_samples(micro_batch_size: int) -> Generator[None]:
    """Turn such an error inside the block into a UsageError that says what to set."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        message = str(error).splitlines()[0] if str(error) else "out of memory"
        smaller = f"--set training.micro_batch_size={micro_batch_size // 2} (the batch size stays as it is)"
        raise UsageError(
            f"the device is out of memory: {message}",
            hint=smaller if micro_batch_size > 1 else "use a smaller data.image_size or model.backbone",
        ) from error
    except ValueError as error:
        if _OF_BATCH_NORMALISATION not in str(error):
            raise
        raise UsageError(
            "a micro-batch of a single sample cannot be normalised: the backbone's last feature map is one point",
            hint="set training.micro_batch_size and training.batch_size to 3 or more, train on more than one sample, "
            "or use a larger data.image_size",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """True for the memory errors of PyTorch's devices and of its CPU allocator, which is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
