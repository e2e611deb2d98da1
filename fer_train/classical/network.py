"""``classical``: a linear discriminant for each block of features, their log-posteriors summed.

Standardisation, principal components and the discriminant are all linear, so that of each block one matrix is left.
Like every network it goes from a batch to logits; unlike the others it is fitted at once, from features that are
computed once, and looks at the pictures as they are and at the landmarks beside them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_prep.errors import UsageError
from fer_train.classical.blocks import block_key, block_named, features_of, parse_blocks
from fer_train.data.images import Inputs
from fer_train.models.network import ExpressionNetwork, NetworkOutput

ENOUGH: Final = 6000
"""Pictures and mirror images that principal components are found from, at most: more take time and change little."""
SURENESSES: Final = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Out of which that of the discriminants beside a network is chosen."""
STEPS: Final = 100
"""In which the share of that network is found (Dempster, Laird and Rubin, 1977)."""
NO_SPREAD: Final = 1e-6
"""A feature whose deviation is no more than this does not vary, but for rounding."""


def _moments(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation (D,) of what is known of (n, D); NaN for what no sample has, which is no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(features, axis=0), np.nanstd(features, axis=0)


@final
class Discriminant(nn.Module):
    """(…, D) features → (…, K) log-posteriors; a feature that a sample lacks counts as the mean."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.mean: Tensor
        self.weight: Tensor
        self.bias: Tensor
        for name, shape in (("mean", (width,)), ("weight", (classes, width)), ("bias", (classes,))):
            self.register_buffer(name, torch.zeros(shape))

    def fit(
        self, features: NDArray[np.float32], labels: NDArray[np.int64], *, components: int, shrinkage: float
    ) -> None:
        """From ``features`` (n, D) and ``labels`` (n,): standardised, at most ``components`` of them, the covariance of
        a class shrunk toward a multiple of the identity; every class is as likely as the others beforehand.
        """
        from sklearn.decomposition import PCA
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        mean, deviation = _moments(features)
        scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > NO_SPREAD)
        values = np.nan_to_num((features - mean) * scale)
        some = values[np.random.default_rng(0).permutation(len(values))[:ENOUGH]] if len(values) > ENOUGH else values
        reduced = PCA(min(components, *some.shape), svd_solver="randomized", random_state=0).fit(some)
        fitted = LinearDiscriminantAnalysis(
            solver="lsqr", shrinkage=shrinkage, priors=np.full(self.classes, 1 / self.classes)
        ).fit(reduced.transform(values), labels)
        weight = np.asarray(fitted.coef_) @ np.asarray(reduced.components_)
        bias = np.asarray(fitted.intercept_) - weight @ np.asarray(reduced.mean_)
        if self.classes == 2:  # scikit-learn keeps the difference of the two alone
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        for name, value in (("mean", np.nan_to_num(mean)), ("weight", weight * scale), ("bias", bias)):
            setattr(self, name, torch.from_numpy(value.astype(np.float32)))

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return ((features - self.mean).nan_to_num() @ self.weight.T + self.bias).log_softmax(dim=-1)


@final
class ClassicalNetwork(ExpressionNetwork):
    """``blocks`` and ``inputs`` (modalities) say what it looks at; blocks made of others are left out."""

    fitted = True

    def __init__(
        self,
        *,
        classes: int,
        image_size: int,
        blocks: str,
        components: int,
        shrinkage: float,
        inputs: Sequence[str],
        **_: Any,
    ) -> None:
        kinds = {name: block_named(name) for name in parse_blocks(blocks)}
        names = [name for name, kind in kinds.items() if set(kind.needs) & {"rgb", "depth"} <= set(inputs)]
        super().__init__(classes=classes, image_size=image_size, inputs=inputs, feature_width=classes * len(names))
        self.components, self.shrinkage = components, shrinkage
        self.blocks = names
        self.discriminants = nn.ModuleDict(
            {block_key(name): Discriminant(kinds[name].width, classes) for name in names}
        )
        self.share: Tensor
        """Of a network beside these discriminants in the answer of both."""
        self.sureness: Tensor
        """What their log-posteriors are multiplied with there."""
        self.register_buffer("share", torch.tensor(0.5))
        self.register_buffer("sureness", torch.tensor(0.1))

    def fit(self, features: Mapping[str, Tensor], labels: NDArray[np.int64]) -> None:
        """From block → (n, 2, D) features of training pictures and their mirror images, and ``labels`` (n,)."""
        for name, discriminant in self._discriminants():
            known = ~features[name].isnan().all(dim=2).any(dim=1).numpy()
            seen = len(np.unique(labels[known]))
            if seen < self.classes:
                raise UsageError(
                    f"{name} is known of pictures of {seen} of {self.classes} classes alone",
                    hint="leave it out of model.blocks",
                )
            values = features[name].numpy()[known]  # (n, 2, D)
            if not (_moments(values[:, 0])[1] > NO_SPREAD).any():
                raise UsageError(f"the training pictures are all alike in {name}: there is nothing to learn")
            discriminant.fit(
                values.reshape(-1, values.shape[2]),
                labels[known].repeat(2),
                components=self.components,
                shrinkage=self.shrinkage,
            )

    def logits(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Block → (B, 2, D) → the sum of log-posteriors (B, K), and those of each block (B, blocks · K)."""
        answers: list[Tensor] = []
        for name, discriminant in self._discriminants():
            known = ~features[name].isnan().all(dim=2, keepdim=True)
            answers.append(torch.where(known, discriminant(features[name]), 0.0).mean(dim=1))
        return torch.stack(answers).sum(dim=0), torch.cat(answers, dim=1)

    def forward(self, inputs: Inputs) -> NetworkOutput:
        """Images in [0, 1], and landmarks where they are known → NetworkOutput."""
        device = inputs[self.inputs[0]].device
        found = features_of(inputs, self.blocks)
        logits, features = self.logits({name: values.to(device) for name, values in found.items()})
        return NetworkOutput(logits=logits, features=features, masks={})

    def beside(self, network: Tensor, own: Tensor) -> Tensor:
        """Log-probabilities (B, K) of a network and log-posteriors of these discriminants → of both together.

        Probabilities are averaged, not their logarithms: discriminants of few people are far too sure of themselves,
        and in a product the surer one decides alone.
        """
        shares = torch.stack([self.share, 1 - self.share]).log()
        said = torch.stack([network.log_softmax(dim=1), (self.sureness * own).log_softmax(dim=1)], dim=2)
        return (said + shares).logsumexp(dim=2)

    def fit_share(self, network: Tensor, own: Tensor, labels: Tensor) -> None:
        """The likeliest share and sureness by what both say, (n, K) each, of people that neither has learned from."""

        def of_truth(said: Tensor) -> NDArray[np.float64]:
            return said.double().softmax(dim=1).gather(1, labels[:, None])[:, 0].clamp(min=1e-12).numpy()

        mine, best = of_truth(network), -np.inf
        for sureness in SURENESSES:
            theirs, share = of_truth(sureness * own), 0.5
            for _ in range(STEPS):  # expectation and maximisation, with one more sample that speaks for either
                share = ((share * mine / (share * mine + (1 - share) * theirs)).sum() + 1) / (len(mine) + 2)
            likelihood = np.log(share * mine + (1 - share) * theirs).sum()
            if likelihood > best:
                best = likelihood
                self.share, self.sureness = torch.tensor(float(share)), torch.tensor(sureness)

    def _discriminants(self) -> list[tuple[str, Discriminant]]:
        found = zip(self.blocks, self.discriminants.values(), strict=True)
        return [(name, one) for name, one in found if isinstance(one, Discriminant)]
