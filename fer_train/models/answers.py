"""What a trained network says: its own logits, those of the mirror image, and the discriminants beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from fer_train.classical.landmarks import mirrored
from fer_train.classical.network import ClassicalNetwork
from fer_train.config import ModelSettings
from fer_train.data.images import Images
from fer_train.data.normalise import FoldNormalisation
from fer_train.models.network import ExpressionNetwork


@torch.no_grad()
def answer(
    network: ExpressionNetwork,
    images: Images,
    *,
    normalisation: FoldNormalisation,
    settings: ModelSettings,
    alone: bool = False,
) -> Tensor:
    """(B, K) log-probabilities, but for a constant of a sample, of images in [0, 1] and landmarks beside where known.

    ``alone``: without the discriminants beside the network.
    """
    if network.fitted:
        return network(images).logits
    views = (images, mirrored(images)) if settings.mirror_average else (images,)
    logits = [network(normalisation(view)).logits.float().log_softmax(dim=1) for view in views]
    said = torch.stack(logits).mean(dim=0)
    if alone or not isinstance(network.classical, ClassicalNetwork):
        return said
    return network.classical.beside(said, network.classical(images).logits)
