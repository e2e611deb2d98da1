"""Out of memory: say which micro-batch would have fitted, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch

from fer_prep.errors import UsageError


@contextmanager
def explaining_out_of_memory(try_batch: Callable[[int], None], *, size: int) -> Generator[None]:
    """Turn a memory error inside the block into a UsageError that names a micro-batch size that fits.

    ``try_batch(n)`` runs one forward and backward pass over n samples; ``size`` is what failed at most.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        message = str(error).splitlines()[0] if str(error) else "out of memory"
    else:
        return
    # outside the except block: the traceback there keeps the tensors of the failed step alive
    fitting = largest_that_fits(try_batch, size=size)
    hint = (
        f"a micro-batch of {fitting} fits: --set training.micro_batch_size={fitting} (the batch size stays as it is)"
        if fitting
        else "not even one sample fits: use a smaller data.image_size or model.backbone"
    )
    raise UsageError(f"the device is out of memory: {message}", hint=hint)


def largest_that_fits(try_batch: Callable[[int], None], *, size: int) -> int:
    """Halve ``size`` until ``try_batch`` goes through; 0 when not even one sample does."""
    while size > 1:
        size //= 2
        _release_memory()
        try:
            try_batch(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return size
    return 0


def is_out_of_memory(error: BaseException) -> bool:
    """True for the memory errors of PyTorch's devices and of its CPU allocator, which is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _release_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
