"""Landmarks of many samples under one scheme: what ``landmarks/<scheme>.npz`` and ``/landmarks/<scheme>`` hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class LandmarkSet:
    """L named points of N samples; NaN where a point is unknown."""

    names: tuple[str, ...]
    """(L,) the points' names, in order."""
    points_px: NDArray[np.float32]
    """(N, L, 2) x, y in continuous output pixels."""
    points_mm: NDArray[np.float32] | None = None
    """(N, L, 3) x, y, z in millimetres in the source's own frame; None where no geometry gives them."""
    vertex: NDArray[np.int32] | None = None
    """(N, L) index of the mesh vertex, −1 where unknown; None where the scheme has none."""

    def __len__(self) -> int:
        return len(self.points_px)

    def take(self, rows: ArrayLike) -> LandmarkSet:
        """The samples in ``rows``, in that order."""
        chosen = np.asarray(rows, np.int64)
        return LandmarkSet(
            names=self.names,
            points_px=self.points_px[chosen],
            points_mm=None if self.points_mm is None else self.points_mm[chosen],
            vertex=None if self.vertex is None else self.vertex[chosen],
        )

    @classmethod
    def unknown(cls, n: int, *, like: LandmarkSet) -> LandmarkSet:
        """``n`` samples of the same scheme of which nothing is known."""
        points = len(like.names)
        return cls(
            names=like.names,
            points_px=np.full((n, points, 2), np.nan, np.float32),
            points_mm=None if like.points_mm is None else np.full((n, points, 3), np.nan, np.float32),
            vertex=None if like.vertex is None else np.full((n, points), -1, np.int32),
        )

    @classmethod
    def concatenated(cls, sets: Sequence[LandmarkSet]) -> LandmarkSet:
        """The samples of all ``sets`` (same names), one after the other; what only some of them know is NaN or −1."""

        def joined(name: str, unknown: float) -> Any:
            parts = [getattr(one, name) for one in sets]
            like = next((part for part in parts if part is not None), None)
            if like is None:
                return None
            filled = (
                np.full((len(one), *like.shape[1:]), unknown, like.dtype) if part is None else part
                for one, part in zip(sets, parts, strict=True)
            )
            return np.concatenate(list(filled))

        return cls(
            names=sets[0].names,
            points_px=joined("points_px", np.nan),
            points_mm=joined("points_mm", np.nan),
            vertex=joined("vertex", -1),
        )
