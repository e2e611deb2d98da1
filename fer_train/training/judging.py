"""A network looks at rows of the dataset without learning from them: the validation fold, or the inner split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from fer_train.data.batches import Batches
from fer_train.training.processes import gathered, share_of_rows
from fer_train.training.steps import Rows


@final
class Judging:
    """Passes rows through a network in batches of ``batch_size``; each of several processes takes its share of them."""

    def __init__(self, batches: Batches, *, fabric: Fabric, batch_size: int) -> None:
        self._batches, self._fabric, self._batch_size = batches, fabric, batch_size

    def reads(self, *groups: Rows | None) -> Iterator[Rows]:
        """What ``outputs`` of these groups, one after the other, reads in this process."""
        for rows in groups:
            if rows is not None:
                yield from share_of_rows(rows, self._fabric).split(self._batch_size)

    def outputs(self, network: nn.Module, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, K), features (n, D) and labels (n,) of rows, in evaluation mode and without gradients.

        The network is left in the mode it was in.
        """
        was_training = network.training
        network.eval()
        logits, features, labels = list[Tensor](), list[Tensor](), list[Tensor]()
        with torch.no_grad(), self._fabric.autocast():
            for some in self.reads(rows):
                batch = self._batches.validation(some)
                output = network(batch.rgb, batch.depth)
                logits.append(output.logits.float())
                features.append(output.features.float())
                labels.append(batch.labels)
        network.train(was_training)
        whole = (gathered(torch.cat(parts), self._fabric, count=len(rows)) for parts in (logits, features, labels))
        return next(whole), next(whole), next(whole)
