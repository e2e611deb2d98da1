"""Per-fold normalisation (thesis §3.1): x / max, then z-score with the training fold's mean and std per modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from fer_prep.dataset.statistics import Moments, PixelSums
from fer_prep.errors import UsageError
from fer_train.data.pixels import DEPTH_MAX, RGB_MAX


class HasStatistics(Protocol):
    """A ``DatasetFile`` or a ``PixelStore``."""

    def statistics(self, rows: ArrayLike) -> PixelSums:
        """Pixel sums over the given rows, in stored units."""
        ...


@final
class FoldNormalisation(nn.Module):
    """Mean and deviation of RGB (three channels) and depth, as buffers: they travel with the model's state.

    In units of [0, 1], after division by the largest storable value; that division cancels out of the z-score and only
    keeps the numbers small. RGB statistics run over all pixels, depth statistics over the pixels that have depth.
    Depth x is the distance behind the sample's own nearest point: where the head stands does not matter.
    """

    rgb_mean: Tensor
    rgb_std: Tensor
    depth_mean: Tensor
    depth_std: Tensor

    def __init__(
        self, *, rgb_mean: Sequence[float], rgb_std: Sequence[float], depth_mean: float, depth_std: float
    ) -> None:
        super().__init__()
        self.register_buffer("rgb_mean", torch.tensor(rgb_mean, dtype=torch.float32).reshape(1, 3, 1, 1))
        self.register_buffer("rgb_std", torch.tensor(rgb_std, dtype=torch.float32).reshape(1, 3, 1, 1))
        self.register_buffer("depth_mean", torch.tensor(depth_mean, dtype=torch.float32))
        self.register_buffer("depth_std", torch.tensor(depth_std, dtype=torch.float32))

    @classmethod
    def fit(cls, source: HasStatistics, rows: Tensor | ArrayLike, *, modality: str = "rgbd") -> FoldNormalisation:
        """From the training rows' exact integer sums, in float64; a constant or absent modality is a UsageError.

        With ``modality`` ``rgb`` or ``depth`` the other one may be absent: it keeps mean 0 and deviation 1.
        """
        numbers = rows.cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
        sums = source.statistics(numbers)
        rgb_mean, rgb_std, depth_mean, depth_std = [0.0] * 3, [1.0] * 3, [0.0], [1.0]
        if modality != "depth":
            rgb_mean, rgb_std = _moments(sums.rgb, scale=RGB_MAX, what="RGB")
        if modality != "rgb":
            depth_mean, depth_std = _moments(sums.depth, scale=DEPTH_MAX, what="depth")
        return cls(rgb_mean=rgb_mean, rgb_std=rgb_std, depth_mean=depth_mean[0], depth_std=depth_std[0])

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FoldNormalisation:
        """Back from ``to_dict``."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: ``rgb_mean``, ``rgb_std`` (three numbers each), ``depth_mean``, ``depth_std``."""
        return {
            "rgb_mean": self.rgb_mean.flatten().tolist(),
            "rgb_std": self.rgb_std.flatten().tolist(),
            "depth_mean": self.depth_mean.item(),
            "depth_std": self.depth_std.item(),
        }

    def forward(self, rgb: Tensor, depth: Tensor, valid: Tensor, *, depth_channels: int = 1) -> tuple[Tensor, Tensor]:
        """``rgb`` (B, 3, H, W), ``depth`` (B, 1, H, W) in [0, 1], ``valid`` (B, 1, H, W), 1 or 0 → network input.

        The depth comes out with ``depth_channels`` equal channels, 0 (the mean) where there is no data.
        """
        (rgb_factor, rgb_shift), (factor, shift) = self.rgb_scaling(), self.depth_scaling()
        z_score = depth.mul(factor).sub_(shift).mul_(valid)
        return rgb.mul(rgb_factor).sub_(rgb_shift), z_score.expand(-1, depth_channels, -1, -1)

    def rgb_scaling(self) -> tuple[Tensor, Tensor]:
        """Factor and shift (1, 3, 1, 1) of the z-score x · factor − shift: as a product and a sum it is faster on a CPU
        than as ``addcmul``, which takes no vector instructions.
        """
        return 1 / self.rgb_std, self.rgb_mean / self.rgb_std

    def depth_scaling(self) -> tuple[Tensor, Tensor]:
        """Likewise for depth: (), ()."""
        return 1 / self.depth_std, self.depth_mean / self.depth_std


def _moments(moments: Moments | None, *, scale: float, what: str) -> tuple[list[float], list[float]]:
    """Mean and deviation in units of [0, 1], float64."""
    if moments is None or not moments.count or not bool((moments.std > 0).all()):
        found = f"values all equal to {moments.mean.tolist()}" if moments and moments.count else "no valid pixel"
        raise UsageError(
            f"cannot normalise: expected {what} that varies over the training samples; found {found}",
            hint="fer-prep check says what is wrong with the dataset",
        )
    return (moments.mean / scale).tolist(), (moments.std / scale).tolist()
