"""From row numbers to what the network takes: gathered, moved, augmented (training only), normalised; on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import tee
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fer_train.config import AugmentationSettings
from fer_train.data.augment import Draws, augment_images, erase
from fer_train.data.image_dataset import ImageDataset, to_device
from fer_train.data.images import Inputs, images_of, to_floats
from fer_train.data.inputs import INPUTS, KEYS
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.random_draws import sample_keys


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some samples, ready for the network."""

    inputs: Inputs
    """Name → (B, C, …) float32, normalised."""
    labels: Tensor
    """(B,) int64."""
    targets: Tensor
    """What the loss compares with: the labels, or shares of the classes (B, K) float32."""


@final
class Batches:
    """Makes the batches of one fold; ``seed`` keys the augmentation draws of every (epoch, sample).

    With ``soft_targets`` the loss gets what each annotator said, in shares, instead of one label.
    """

    def __init__(
        self,
        data: ImageDataset,
        *,
        normalisation: FoldNormalisation,
        augmentation: AugmentationSettings,
        seed: int,
        soft_targets: bool = False,
    ) -> None:
        self.data, self.augmentation, self.seed = data, augmentation, seed
        self.normalisation = normalisation.to(data.device)
        self._shares = data.soft_labels().to(data.device) if soft_targets else None

    def training(self, plan: Iterable[tuple[int, Tensor]]) -> Iterator[Batch]:
        """Of one (epoch, rows (B,)) after the other, augmented as the epoch draws it for each sample."""
        plan, ahead = tee(plan)
        for (epoch, rows), stored in zip(plan, self.data.batches(rows for _, rows in ahead), strict=True):
            there = to_device(rows, self.data.device)
            keys = sample_keys(there, seed=self.seed, epoch=epoch)
            draws = Draws.of(keys)
            images = augment_images(to_floats(stored) | {KEYS: keys}, draws, settings=self.augmentation)
            batch = self._batch(erase(self.normalisation(images), draws, settings=self.augmentation), rows)
            yield self._mixed(batch, draws) if self.augmentation.mixup else batch

    def validation(self, plan: Iterable[Tensor]) -> Iterator[Batch]:
        """Of one (B,) of rows after the other, as they are."""
        plan, ahead = tee(plan)
        for rows, stored in zip(plan, self.data.batches(ahead), strict=True):
            yield self._batch(self.normalisation(to_floats(stored)), rows)

    def ids_of(self, rows: Tensor) -> NDArray[np.str_]:
        """The sample ids of ``rows``."""
        return self.data.ids[rows.numpy()]

    def _mixed(self, batch: Batch, draws: Draws) -> Batch:
        """Each sample over the next one of the batch, and the targets likewise in shares."""
        share = 1 - self.augmentation.mixup * draws.mixup  # (B,)
        targets = batch.targets
        if targets.ndim == 1:
            targets = functional.one_hot(targets, len(self.data.classes)).float()

        def mix(values: Tensor) -> Tensor:
            own = share.reshape(-1, *[1] * (values.ndim - 1))
            return own * values + (1 - own) * values.roll(1, dims=0)

        def mix_points(values: Tensor) -> Tensor:
            """Points (B, C, P) have no order: so many are the sample's own, the others the next one's."""
            own = torch.arange(values.shape[2], device=values.device) < share[:, None] * values.shape[2]
            return torch.where(own[:, None], values, values.roll(1, dims=0))

        are_points = {name: INPUTS[name].kind == "points" for name in batch.inputs}
        inputs = {name: (mix_points if are_points[name] else mix)(values) for name, values in batch.inputs.items()}
        return Batch(inputs=inputs, labels=batch.labels, targets=mix(targets))

    def _batch(self, inputs: Inputs, rows: Tensor) -> Batch:
        labels = self.data.labels_of(rows)
        targets = labels if self._shares is None else self._shares[to_device(rows, self.data.device)]
        return Batch(inputs=inputs, labels=labels, targets=targets)


@torch.no_grad()
def prepare_inputs(
    stored: Mapping[str, NDArray[Any]],
    *,
    normalisation: FoldNormalisation,
    image_size: int,
    equalise: bool = False,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """Stored arrays → what a trained network takes, without a dataset file.

    ``stored``: ``rgb`` (B, H, W, 3) u1 and ``depth`` (B, H, W) u2, as far as the inputs of ``normalisation`` need them.
    Returns input → (B, C, …) float32 on the device.
    """
    return normalisation(images_of(stored, image_size=image_size, equalise=equalise, device=device))
