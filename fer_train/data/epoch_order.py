"""In which order an epoch visits its samples: a function of (seed, epoch, rows, shards) and of nothing else.

Whether the pixels are in memory or streamed, on how many processes, in which batches: the order is the same, and so
are the results. Only a dataset in shards that is larger than ``MIXED_SAMPLES`` is not shuffled as a whole: its shards
are, and then the samples within a window of shards, so that at any time a few files are being read and not all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from fer_train.data.random_draws import sample_keys

MIXED_SAMPLES: Final = 16_384
"""A window has at least so many samples (5.5 GB at 260 × 260): one batch of 128 then sees every part of it."""


def epoch_order(
    rows: Tensor, *, seed: int, epoch: int, shard_sizes: Sequence[int] = (), mixed_samples: int = MIXED_SAMPLES
) -> Tensor:
    """``rows`` (n,) int64 on the CPU, in the order in which one epoch of one run visits them.

    ``shard_sizes``: how many rows of the dataset each of its files has, in row order; empty for a single file.
    """
    keys = sample_keys(rows, seed=seed, epoch=epoch)
    order = torch.argsort(keys, stable=True)
    windows = _window_of_rows(rows, seed=seed, epoch=epoch, shard_sizes=shard_sizes, mixed_samples=mixed_samples)
    if windows is not None:
        order = order[torch.argsort(windows[order], stable=True)]
    return rows[order]


def _window_of_rows(
    rows: Tensor, *, seed: int, epoch: int, shard_sizes: Sequence[int], mixed_samples: int
) -> Tensor | None:
    """(n,) which window each row is visited in; None where one window holds all."""
    count = len(rows) // mixed_samples
    if count < 2 or len(shard_sizes) < 2:
        return None
    ends = torch.tensor(shard_sizes).cumsum(0)
    shards = torch.bucketize(rows, ends, right=True)  # (n,)
    visited = torch.argsort(sample_keys(torch.arange(len(ends)), seed=~seed, epoch=epoch), stable=True)
    sizes = torch.bincount(shards, minlength=len(ends))[visited]
    # windows of about equal size: a small one at the end would hold too few people
    window = torch.empty_like(visited)
    window[visited] = (sizes.cumsum(0) - sizes) * count // len(rows)
    return window[shards]
