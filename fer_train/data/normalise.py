"""Per-fold normalisation (thesis §3.1): x / max, then z-score with the training fold's mean and std per modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from fer_prep.dataset.statistics import Moments
from fer_prep.errors import UsageError
from fer_prep.geometry.attribute_maps import SMOOTHING_MM
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
    pixels that have data.
    """

    def __init__(
        self, moments: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, smoothing_mm: float = SMOOTHING_MM
    ) -> None:
        super().__init__()
        self.inputs, self.smoothing_mm = tuple(moments), smoothing_mm
        for name, (mean, std) in moments.items():
            self.register_buffer(f"{name}_mean", torch.tensor(mean, dtype=torch.float32))
            self.register_buffer(f"{name}_std", torch.tensor(std, dtype=torch.float32))

    @classmethod
    def fit(
        cls, data: HasMoments, rows: Tensor, *, inputs: Sequence[str], smoothing_mm: float = SMOOTHING_MM
    ) -> FoldNormalisation:
        """From the training rows' exact integer sums, in float64; values that do not vary are a UsageError."""
        found = data.moments(rows)
        values: dict[str, tuple[list[float], list[float]]] = {}
        for name in inputs:
            kind = INPUTS[name]
            if kind.compute:
                mean, std = kind.typical
                values[name] = [mean] * kind.channels, [std] * kind.channels
                continue
            moments, maximum = found[kind.stored[0]], STORED[kind.stored[0]].maximum
            if not moments.count or not bool((moments.std > 0).all()):
                seen = f"values all equal to {moments.mean.tolist()}" if moments.count else "no valid pixel"
                raise UsageError(
                    f"cannot normalise: expected {name} that varies over the training samples; found {seen}",
                    hint="fer-prep check says what is wrong with the dataset",
                )
            values[name] = (moments.mean / maximum).tolist(), (moments.std / maximum).tolist()
        return cls(values, smoothing_mm=smoothing_mm)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FoldNormalisation:
        """Back from ``to_dict``."""
        moments = {name: (entry["mean"], entry["std"]) for name, entry in values.items()}
        smoothing = {entry["smoothing_mm"] for entry in values.values() if "smoothing_mm" in entry}
        return cls(moments, smoothing_mm=smoothing.pop() if smoothing else SMOOTHING_MM)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: input → ``mean`` and ``std``, a number a channel, and ``smoothing_mm`` of what is metric."""
        values: dict[str, Any] = {
            name: {"mean": self._of(name, "mean").tolist(), "std": self._of(name, "std").tolist()}
            for name in self.inputs
        }
        for name in self.inputs:
            if INPUTS[name].is_metric:
                values[name]["smoothing_mm"] = self.smoothing_mm
        return values

    def forward(self, images: Images) -> dict[str, Tensor]:
        """Modality → (B, C, S, S) in [0, 1] → input → (B, C, S, S)."""
        inputs: dict[str, Tensor] = {}
        for name in self.inputs:
            mean, std = (self._of(name, what).reshape(1, -1, 1, 1) for what in ("mean", "std"))
            values = (compute_input(name, images, smoothing_mm=self.smoothing_mm) - mean) / std
            valid = valid_of(name, images)
            inputs[name] = values if valid is None else torch.where(valid, values, 0.0)
        return inputs

    def _of(self, name: str, what: str) -> Tensor:
        return self.get_buffer(f"{name}_{what}")
