"""Errors of PyTorch that a setting mends: out of memory, and a micro-batch of one sample under batch normalisation."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from fer_prep.errors import UsageError

_OF_BATCH_NORMALISATION: Final = "Expected more than 1 value per channel"
"""How PyTorch's complaint about a single value begins."""


@contextmanager
def explaining_memory_and_lone_samples(try_batch: Callable[[Tensor], None], samples: Tensor) -> Generator[None]:
    """Turn such an error inside the block into a UsageError that says what to set.

    ``try_batch(rows)`` runs one forward and backward pass; ``samples`` (n,) are the rows that failed.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        message = str(error).splitlines()[0] if str(error) else "out of memory"
    except ValueError as error:
        if _OF_BATCH_NORMALISATION not in str(error):
            raise
        raise UsageError(
            "a micro-batch of a single sample cannot be normalised: the backbone's last feature map is one point",
            hint="set training.micro_batch_size and training.batch_size to 3 or more, train on more than one sample, "
            "or use a larger data.image_size",
        ) from error
    else:
        return
    # outside the except block: the traceback there keeps the tensors of the failed step alive
    fitting = largest_that_fits(try_batch, samples)
    hint = (
        f"a micro-batch of {fitting} fits: --set training.micro_batch_size={fitting} (the batch size stays as it is)"
        if fitting
        else "not even one sample fits: use a smaller data.image_size or model.backbone"
    )
    raise UsageError(f"the device is out of memory: {message}", hint=hint)


def largest_that_fits(try_batch: Callable[[Tensor], None], samples: Tensor) -> int:
    """Halve the number of samples until ``try_batch`` goes through; 0 when not even one sample does."""
    size = len(samples)
    while size > 1:
        size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            try_batch(samples[:size])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return size
    return 0


def is_out_of_memory(error: BaseException) -> bool:
    """True for the memory errors of PyTorch's devices and of its CPU allocator, which is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
