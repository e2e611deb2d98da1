"""Sums over the pixels of samples, exact integers: what the mean and the standard deviation of any fold come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums over many pixels of C channels, exact integers; mean and standard deviation follow in float64."""

    count: int
    total: tuple[int, ...]
    total_of_squares: tuple[int, ...]

    @property
    def mean(self) -> NDArray[np.float64]:
        """(C,) mean of the stored values; NaN where no pixel counts."""
        if not self.count:
            return np.full(len(self.total), np.nan)
        return np.array([total / self.count for total in self.total])

    @property
    def std(self) -> NDArray[np.float64]:
        """(C,) population standard deviation (divided by the count, not by count − 1)."""
        if not self.count:
            return np.full(len(self.total), np.nan)
        # n·Σx² − (Σx)² in whole numbers: no cancellation
        spreads = [
            self.count * squares - total * total
            for total, squares in zip(self.total, self.total_of_squares, strict=True)
        ]
        return np.array([spread**0.5 / self.count for spread in spreads])


@dataclass(frozen=True, kw_only=True)
class PixelSums:
    """What the normalisation of a set of samples needs, in stored units (0–255, 0–65535); None: not stored."""

    rgb: Moments | None
    """Three channels, all pixels."""
    rgb_valid: Moments | None
    """Three channels, only pixels with depth."""
    depth: Moments | None
    """One channel, only pixels with depth."""


def pixel_statistics(rgb: NDArray[np.uint8] | None, depth: NDArray[np.uint16] | None) -> dict[str, NDArray[np.uint64]]:
    """The exact sums of one sample, by the names of ``schema.STATISTICS``.

    ``rgb`` (H, W, 3), ``depth`` (H, W) stored values; None where the file has no such modality.
    """
    sums: dict[str, Any] = {}
    if depth is not None:
        values = depth.reshape(-1).astype(np.uint64)  # 0, no data, adds nothing
        sums |= {"pixels": values.size, "valid_pixels": np.count_nonzero(values)}
        sums |= {"depth_sum": values.sum(), "depth_sum_of_squares": values @ values}
    if rgb is not None:
        colours = rgb.reshape(-1, 3).astype(np.float64)  # exact: 255² · 4096² < 2⁵³, and matrix products are fast
        both = np.hstack([colours, colours**2])
        sums["pixels"] = len(colours)
        sums["rgb_sum"], sums["rgb_sum_of_squares"] = (np.ones(len(both)) @ both).reshape(2, 3)
        if depth is not None:
            valid = (depth.reshape(-1) > 0).astype(np.float64)
            sums["rgb_valid_sum"], sums["rgb_valid_sum_of_squares"] = (valid @ both).reshape(2, 3)
    return {name: np.asarray(value).astype(np.uint64) for name, value in sums.items()}


def total_sums(per_sample: Mapping[str, NDArray[Any]], rows: ArrayLike) -> PixelSums:
    """The sums of ``rows`` together; ``per_sample`` has (N,) or (N, 3) arrays by the names of ``schema.STATISTICS``."""
    chosen = np.asarray(rows, np.int64).reshape(-1)
    sums = {name: exact_sum(values[chosen]) for name, values in per_sample.items()}

    def moments(kind: str, count: str) -> Moments | None:
        if f"{kind}_sum" not in sums:
            return None
        return Moments(count=sums[count][0], total=sums[f"{kind}_sum"], total_of_squares=sums[f"{kind}_sum_of_squares"])

    return PixelSums(
        rgb=moments("rgb", "pixels"),
        rgb_valid=moments("rgb_valid", "valid_pixels"),
        depth=moments("depth", "valid_pixels"),
    )


def exact_sum(values: NDArray[np.uint64]) -> tuple[int, ...]:
    """Column sums as Python integers: 64 bits overflow at 60,000 samples of far depth, halves of 32 do not."""
    table = values.astype(np.uint64).reshape(len(values), -1)
    high, low = (table >> np.uint64(32)).sum(axis=0), (table & np.uint64(0xFFFFFFFF)).sum(axis=0)
    return tuple((int(h) << 32) + int(lo) for h, lo in zip(high, low, strict=True))
