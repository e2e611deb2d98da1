"""From row numbers to what the network takes: gathered, augmented (training only), normalised; all on the device."""

from __future__ import annotations

from typing import Final, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_train.config import AugmentationSettings
from fer_train.data.augment import PairedAugmentation
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.pixel_store import PixelStore
from fer_train.data.pixels import channels_last
from fer_train.data.random_draws import sample_keys

_ROWS_DRAWN_AT_ONCE: Final = 2**16
"""Drawing needs several times the 44 bytes a sample that it leaves."""


class NetworkInput(NamedTuple):
    """A batch, ready for the network."""

    rgb: Tensor
    """(B, 3, H, W) normalised."""
    depth: Tensor
    """(B, depth channels, H, W) normalised, 0 where there is no data."""
    labels: Tensor
    """(B,) int64."""


@final
class Batches:
    """Makes batches of one fold; ``seed`` keys the augmentation draws of every (epoch, sample)."""

    def __init__(
        self,
        data: PixelStore,
        *,
        normalisation: FoldNormalisation,
        augmentation: AugmentationSettings,
        depth_channels: int,
        seed: int,
    ) -> None:
        self.data, self.seed, self.depth_channels = data, seed, depth_channels
        self.normalisation = normalisation.to(data.device)
        self.augmentation = PairedAugmentation(
            augmentation, normalisation=self.normalisation, depth_channels=depth_channels
        )
        self._drawn_for, self._all_drawn = -1, torch.empty(0)

    def training(self, rows: Tensor, *, epoch: int) -> NetworkInput:
        """The samples in ``rows`` (B,), augmented as this epoch draws it for each of them."""
        batch = self.data.gather(rows)
        drawn = self._drawn(epoch).index_select(0, batch.rows)
        return NetworkInput(*self.augmentation.apply(batch, drawn=drawn), batch.labels)

    def validation(self, rows: Tensor) -> NetworkInput:
        """The samples in ``rows`` (B,) as they are."""
        batch = self.data.gather(rows)
        rgb, depth = self.normalisation(batch.rgb, batch.depth, batch.valid, depth_channels=self.depth_channels)
        return NetworkInput(channels_last(rgb), channels_last(depth), batch.labels)

    def _drawn(self, epoch: int) -> Tensor:
        """(N, 11): what the epoch draws for every sample of the dataset, once an epoch instead of in every step."""
        if self._drawn_for != epoch:
            side = self.data.image_size
            blocks = torch.arange(len(self.data), device=self.data.device).split(_ROWS_DRAWN_AT_ONCE)
            keys = (sample_keys(rows, seed=self.seed, epoch=epoch) for rows in blocks)
            self._all_drawn = torch.cat([self.augmentation.draw(some, side=side) for some in keys])
            self._drawn_for = epoch
        return self._all_drawn

    def ids_of(self, rows: Tensor) -> NDArray[np.str_]:
        """The sample ids of ``rows``."""
        return self.data.ids[rows.cpu().numpy()]
