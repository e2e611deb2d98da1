"""Per-fold normalisation (thesis §3.1): x / max, then z-score with the training fold's mean and std per modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import numpy as np
import torch
from torch import Tensor, nn

from fer_prep.dataset.statistics import Moments
from fer_prep.errors import UsageError
from fer_train.data.images import Images, compute_input, valid_of
from fer_train.data.inputs import INPUTS, STORED


class HasMoments(Protocol):
    """An ``ImageDataset``."""

    def moments(self, rows: Tensor) -> Mapping[str, Moments]:
        """Modality → sums over the pixels of the samples in ``rows`` (n,), in stored units."""
        ...


@final
class FoldNormalisation(nn.Module):
    """Images in [0, 1] → the network's inputs with mean 0 and deviation 1; 0, the mean, where there is no data.

    Mean and deviation (C,) of each input are buffers, in units of [0, 1]. Those of a modality with holes run over the
    pixels that have data. ``settings`` are those of ``[data]`` that computed inputs want.
    """

    def __init__(
        self,
        moments: Mapping[str, tuple[Sequence[float], Sequence[float]]],
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.inputs, self.settings = tuple(moments), dict(settings or {})
        for name, (mean, std) in moments.items():
            self.register_buffer(f"{name}_mean", torch.tensor(mean, dtype=torch.float32))
            self.register_buffer(f"{name}_std", torch.tensor(std, dtype=torch.float32))

    @classmethod
    def fit(
        cls, data: HasMoments, rows: Tensor, *, inputs: Sequence[str], settings: Mapping[str, Any] | None = None
    ) -> FoldNormalisation:
        """From the training rows' exact integer sums, in float64; values that do not vary are a UsageError."""
        found = data.moments(rows)
        values: dict[str, tuple[list[float], list[float]]] = {}
        for name in inputs:
            kind = INPUTS[name]
            if kind.compute:
                mean, std = (np.broadcast_to(each, kind.channels).tolist() for each in kind.typical)
                values[name] = mean, std
                continue
            moments, maximum = found[kind.stored[0]], STORED[kind.stored[0]].maximum
            if not moments.count or not bool((moments.std > 0).all()):
                seen = f"values all equal to {moments.mean.tolist()}" if moments.count else "no valid pixel"
                raise UsageError(
                    f"cannot normalise: expected {name} that varies over the training samples; found {seen}",
                    hint="fer-prep check says what is wrong with the dataset",
                )
            values[name] = (moments.mean / maximum).tolist(), (moments.std / maximum).tolist()
        return cls(values, settings=settings)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FoldNormalisation:
        """Back from ``to_dict``."""
        moments = {name: (entry["mean"], entry["std"]) for name, entry in values.items()}
        settings = {each: entry[each] for name, entry in values.items() for each in INPUTS[name].settings}
        return cls(moments, settings=settings)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: input → ``mean`` and ``std``, a number a channel, and the settings that it is computed with."""
        return {
            name: {
                **{what: self._of(name, what).tolist() for what in ("mean", "std")},
                **{each: self.settings[each] for each in INPUTS[name].settings},
            }
            for name in self.inputs
        }

    def forward(self, images: Images) -> dict[str, Tensor]:
        """Modality → (B, C, S, S) in [0, 1] → input → (B, C, …)."""
        inputs: dict[str, Tensor] = {}
        for name in self.inputs:
            values = compute_input(name, images, settings=self.settings)
            mean, std = (self._of(name, what).reshape(-1, *[1] * (values.ndim - 2)) for what in ("mean", "std"))
            values, valid = (values - mean) / std, valid_of(name, images)
            inputs[name] = values if valid is None else torch.where(valid, values, 0.0)
        return inputs

    def _of(self, name: str, what: str) -> Tensor:
        return self.get_buffer(f"{name}_{what}")
