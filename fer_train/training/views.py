"""Rendered views of a recording: one is drawn an epoch, the frontal one is judged, the others are judged beside it.

The id of a view other than the frontal one ends with its angles, ``@y+30p-10``; what stands before is the recording's.
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_train.data.image_dataset import ImageDataset
from fer_train.data.random_draws import sample_keys, uniforms


def is_frontal(ids: NDArray[np.str_]) -> NDArray[np.bool_]:
    """(n,) whether each sample is a recording as it is."""
    return np.char.find(ids, "@") < 0


def frontal_and_turned(rows: Tensor, data: ImageDataset) -> tuple[Tensor, Tensor]:
    """The rows (n,) of recordings as they are, and those of their other views."""
    frontal = torch.from_numpy(is_frontal(data.ids[rows.numpy()]))
    return rows[frontal], rows[~frontal]


@final
class Views:
    """``all`` (m,) int64 views of recordings, ``rows`` (n,) their frontal ones (where one is missing, another)."""

    def __init__(self, rows: Tensor, data: ImageDataset) -> None:
        order = torch.cat(frontal_and_turned(rows, data)).numpy()
        names = np.char.partition(data.ids[order], "@")[:, 0]
        _, first, recording, counts = np.unique(names, return_index=True, return_inverse=True, return_counts=True)
        by_recording = list(torch.from_numpy(order[np.argsort(recording, kind="stable")]).split(counts.tolist()))
        self._counts = torch.from_numpy(counts)
        self._table = torch.nn.utils.rnn.pad_sequence(by_recording, batch_first=True)  # (n, V)
        self.all, self.rows = rows, torch.from_numpy(order[first])
        self._place = torch.zeros(int(order.max()) + 1, dtype=torch.int64)
        self._place[self.rows] = torch.arange(len(self.rows))

    def drawn(self, rows: Tensor, *, seed: int, epoch: int) -> Tensor:
        """In place of each of ``rows`` (n,), frontal ones, the view that (seed, epoch, recording) draws."""
        place = self._place[rows]
        share = uniforms(sample_keys(rows, seed=~seed, epoch=epoch), draws=1)[0]
        return self._table[place, (share * self._counts[place]).long()]
