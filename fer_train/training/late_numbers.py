"""Numbers about past steps that the device still holds, so that no step waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

LateValues = Tensor | Callable[[], Tensor]
"""Numbers on the device, or what computes them there: of many steps in a row that is less work than within each."""


@final
class LateNumbers:
    """Joins numbers to the rows of a history when they are asked for, in one transfer from the device."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, tuple[str, ...], LateValues]] = []
        """(index into the history, names, values)."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, index: int, names: Sequence[str], values: LateValues) -> None:
        """``values`` (len(names),) of the row at ``index``, which may not exist yet."""
        self._waiting.append((index, tuple(names), values))

    def join(self, history: list[dict[str, float]]) -> list[dict[str, float]]:
        """Fetch them all; the rows that they were for, oldest first."""
        if not self._waiting:
            return []
        tensors = (values() if callable(values) else values for _, _, values in self._waiting)
        values = iter(torch.cat([tensor.float() for tensor in tensors]).tolist())
        for index, names, _ in self._waiting:
            history[index] |= {name: next(values) for name in names}
        touched = sorted({index for index, _, _ in self._waiting})
        self._waiting.clear()
        return [history[index] for index in touched]
