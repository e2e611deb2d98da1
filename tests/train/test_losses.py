"""Every loss against plain loops written from its formula, its limiting cases, and low precision."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_prep.errors import UsageError
from fer_train.config import Config, LossSettings
from fer_train.losses import LOSSES, make_loss
from fer_train.losses.base import balanced_class_weights
from fer_train.losses.class_centers import ClassCenters
from fer_train.losses.island import pairwise_term, repulsion

K, D, B = 7, 5, 24


def make_batch(*, seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(B, K, generator=generator)
    features = scale * torch.randn(B, D, generator=generator)
    return logits, features, torch.randint(0, K, (B,), generator=generator)


def make(name: str, *, classes: int = K, feature_width: int = D, class_weights=None, **settings):
    settings = LossSettings(name=name, **settings)
    return make_loss(settings, classes=classes, feature_width=feature_width, class_weights=class_weights)


# ---- the formulas again, one sample and one class at a time, in float64 ----


def softmax_at(logits: list[float], label: int) -> float:
    largest = max(logits)
    return math.exp(logits[label] - largest) / sum(math.exp(value - largest) for value in logits)


def slow_cross_entropy(logits, features, labels, *, weights) -> float:
    total = sum(-weights[y] * math.log(softmax_at(row, y)) for row, y in zip(logits, labels, strict=True))
    return total / len(labels)


def slow_hinge(logits, features, labels, *, weights) -> float:
    total = 0.0
    for row, y in zip(logits, labels, strict=True):
        for j in range(K):
            if j != y:
                total += weights[y] * max(0.0, 1.0 - row[y] + row[j]) ** 2
    return total / len(labels)


def slow_focal(logits, features, labels, *, weights, gamma=2.0) -> float:
    total = 0.0
    for row, y in zip(logits, labels, strict=True):
        p = softmax_at(row, y)
        total += -weights[y] * (1 - p) ** gamma * math.log(p)
    return total / len(labels)


def slow_distance(features, labels, centers) -> float:
    total = 0.0
    for x, y in zip(features, labels, strict=True):
        total += sum((x[d] - centers[y][d]) ** 2 for d in range(D))
    return 0.5 * total / len(features)


def slow_pairs(centers) -> float:
    total = 0.0
    for j in range(len(centers)):
        for k in range(len(centers)):
            if j != k:
                dot = sum(a * b for a, b in zip(centers[j], centers[k], strict=True))
                norms = math.hypot(*centers[j]) * math.hypot(*centers[k])
                total += dot / norms + 1
    return total


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "slow"), [("cross-entropy", slow_cross_entropy), ("hinge", slow_hinge), ("focal", slow_focal)]
)
def test_logit_losses_against_plain_loops(name, slow, weighted):
    logits, features, labels = make_batch()
    weights = torch.linspace(0.5, 2.0, K) if weighted else None
    found = make(name, class_weights=weights)(logits, features, labels).item()
    expected = slow(
        logits.double().tolist(), None, labels.tolist(), weights=weights.tolist() if weighted else [1.0] * K
    )
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("form", ["nested", "flat"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_center_and_island_loss_against_plain_loops(reduction, form):
    logits, features, labels = make_batch()
    center = make("center", center_weight=0.3)
    island = make("island", center_weight=0.3, pair_weight=2.0, pair_reduction=reduction, island_form=form)
    centers = torch.randn(K, D, generator=torch.Generator().manual_seed(3))
    for loss in (center, island):
        loss.class_centers.centers.copy_(centers)
    entropy = slow_cross_entropy(logits.double().tolist(), None, labels.tolist(), weights=[1.0] * K)
    distance = slow_distance(features.double().tolist(), labels.tolist(), centers.double().tolist())
    pairs = slow_pairs(centers.double().tolist()) / (K * (K - 1) if reduction == "mean" else 1)
    assert center(logits, features, labels).item() == pytest.approx(entropy + 0.3 * distance, rel=1e-5)
    expected = entropy + 0.3 * distance + (0.3 if form == "nested" else 1.0) * 2.0 * pairs
    assert island(logits, features, labels).item() == pytest.approx(expected, rel=1e-5)


# ---- limiting cases ----


def test_focal_with_gamma_0_is_weighted_cross_entropy():
    logits, features, labels = make_batch()
    weights = torch.linspace(0.5, 2.0, K)
    focal = make("focal", gamma=0.0, class_weights=weights)(logits, features, labels)
    torch.testing.assert_close(focal, make("cross-entropy", class_weights=weights)(logits, features, labels))


@pytest.mark.parametrize("name", ["center", "island"])
def test_lambda_0_is_cross_entropy(name):
    batch = make_batch()
    torch.testing.assert_close(make(name, center_weight=0.0)(*batch), make("cross-entropy")(*batch))


def test_island_without_pairs_is_center_loss_and_moves_centers_as_it():
    batch = make_batch()
    island, center = make("island", pair_weight=0.0), make("center")
    for _ in range(3):
        island.update(*batch[1:])
        center.update(*batch[1:])
    torch.testing.assert_close(island.class_centers.centers, center.class_centers.centers)
    torch.testing.assert_close(island(*batch), center(*batch))


def test_centers_move_exactly_by_equation_2_17():
    _, features, labels = make_batch()
    labels[labels == 2] = 3  # a class that does not occur
    start = np.random.default_rng(1).normal(size=(K, D))
    loss = make("center", alpha=0.5)
    loss.class_centers.centers.copy_(torch.from_numpy(start))
    loss.update(features, labels)
    for k in range(K):
        delta, count = np.zeros(D), 0
        for x, y in zip(features.double().numpy(), labels.tolist(), strict=True):
            if y == k:
                delta += start[k] - x
                count += 1
        expected = start[k] - 0.5 * delta / (1 + count)
        np.testing.assert_allclose(loss.class_centers.centers[k].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert loss.class_centers.centers[2].tolist() == pytest.approx(start[2].tolist())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("center", {}),
        ("island", {}),
        ("island", {"island_form": "flat"}),
        ("island", {"pair_reduction": "mean"}),
    ],
)
def test_by_sgd_centers_move_along_the_gradient_of_the_whole_loss(name, settings):
    torch.manual_seed(0)
    loss, (logits, features, labels) = make(name, centers="sgd", alpha=0.5, **settings), make_batch()
    start = loss.class_centers.centers.clone()
    assert start.std().item() == pytest.approx(1.0, abs=0.4)  # not at the origin
    loss.class_centers.centers.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, features, labels), loss.class_centers.centers)
    loss.class_centers.centers.requires_grad_(False)
    loss.update(features, labels)
    torch.testing.assert_close(loss.class_centers.centers, start - 0.5 * gradient)


def mean_cosine(centers: torch.Tensor) -> float:
    cosines = torch.nn.functional.cosine_similarity(centers[:, None], centers[None], dim=2)
    return float((cosines.sum() - len(centers)) / (len(centers) * (len(centers) - 1)))


def test_frozen_features_let_centers_part_by_sgd_alone():
    """550 steps of 128, features that have much in common: the comparison with the author's library."""
    found = {}
    for rule in ("wen", "sgd"):
        generator = torch.manual_seed(0)
        common, own = torch.randn(1, 64, generator=generator), 0.5 * torch.randn(K, 64, generator=generator)
        loss = make("island", classes=K, feature_width=64, centers=rule)
        for _ in range(550):
            labels = torch.randint(0, K, (128,), generator=generator)
            loss.update(common + own[labels] + 0.5 * torch.randn(128, 64, generator=generator), labels)
        found[rule] = mean_cosine(loss.class_centers.centers)
    assert found["wen"] > 0.4
    assert found["sgd"] < -0.08


def simplex(count: int) -> torch.Tensor:
    """(K, K) directions at equal angles, cos = −1/(K − 1)."""
    return torch.eye(count) - 1 / count


def test_the_pairwise_term_is_least_at_the_simplex():
    least = K * (K - 2)
    assert pairwise_term(3 * simplex(K), reduction="sum").item() == pytest.approx(least, abs=1e-4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert pairwise_term(torch.randn(K, K, generator=generator), reduction="sum").item() >= least - 1e-4
    assert repulsion(simplex(K)).abs().max().item() < 1e-6


def test_repulsion_is_the_gradient_of_the_pairwise_term():
    centers = torch.randn(K, D, generator=torch.Generator().manual_seed(2), requires_grad=True)
    (gradient,) = torch.autograd.grad(pairwise_term(centers, reduction="sum"), centers)
    # the double sum counts each pair twice; the step is the mean over the K − 1 others
    torch.testing.assert_close(repulsion(centers.detach()), gradient / 2 / (K - 1))


def test_the_pairwise_term_drives_centers_apart():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 8, generator=generator) + 0.1 * torch.randn(B, 8, generator=generator)
    labels = torch.arange(B) % K
    spreads = []
    for weight in (0.0, 10.0):
        loss = make("island", classes=K, feature_width=8, pair_weight=weight)
        for _ in range(30):
            loss.update(features, labels)
        spreads.append(pairwise_term(loss.class_centers.centers, reduction="sum").item())
    assert spreads[0] > 75  # all alike: nearly 2 a pair
    assert spreads[1] < spreads[0] - 10


def test_centers_at_the_origin_have_no_direction():
    centers = torch.zeros(K, D)
    centers[0] = 1.0
    assert pairwise_term(centers, reduction="mean").item() == pytest.approx(1.0)
    assert repulsion(centers).abs().max().item() < 1e-6  # the others are 0 / 0 if one does not look


def test_the_update_leaves_the_graph_alone_and_reaches_no_feature():
    _, features, labels = make_batch()
    features.requires_grad_()
    loss = make("island")
    loss.update(features, labels)
    assert not loss.class_centers.centers.requires_grad
    assert list(loss.parameters()) == []


def test_centers_travel_with_the_state():
    loss, fresh = make("island"), make("island")
    loss.update(*make_batch()[1:])
    fresh.load_state_dict(loss.state_dict())
    assert torch.equal(fresh.class_centers.centers, loss.class_centers.centers)
    assert not torch.equal(fresh.class_centers.centers, torch.zeros(K, D))


# ---- precision ----


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("name", LOSSES)
def test_low_precision_features_do_not_overflow(name, dtype):
    """Features of length 40 in 1408 dimensions: their squared norm is beyond float16's 65504."""
    generator = torch.Generator().manual_seed(0)
    features = (40 * torch.randn(B, 1408, generator=generator)).to(dtype).requires_grad_()
    logits = (20 * torch.randn(B, K, generator=generator)).to(dtype).requires_grad_()
    labels = torch.arange(B) % K
    loss = make(name, classes=K, feature_width=1408)
    with torch.autocast("cpu", dtype=dtype):
        loss.update(features, labels)
        value = loss(logits, features, labels)
    value.backward()
    assert value.dtype == torch.float32
    assert bool(torch.isfinite(value) and torch.isfinite(logits.grad).all())
    exact = make(name, classes=K, feature_width=1408)
    exact.update(features.detach().float(), labels)
    torch.testing.assert_close(value, exact(logits.detach().float(), features.detach().float(), labels))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_stays_finite_where_the_network_is_certain(gamma):
    logits = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    loss = make("focal", classes=3, feature_width=2, gamma=gamma)(logits, torch.zeros(2, 2), torch.tensor([0, 0]))
    loss.backward()
    assert bool(torch.isfinite(loss) and torch.isfinite(logits.grad).all())


# ---- several processes ----


def _move_centers(rank: int, folder: str, rule: str) -> None:
    torch.manual_seed(3)
    store = Path(folder) / "store"
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    centers = ClassCenters(classes=K, feature_width=D, alpha=0.5, rule=rule)
    _, features, labels = make_batch()
    half = slice(rank * B // 2, (rank + 1) * B // 2)
    centers.step(centers.attraction(features[half], labels[half]))
    torch.save(centers.centers, Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["wen", "sgd"])
def test_centers_are_the_same_in_two_processes_as_in_one(tmp_path, rule):
    torch.multiprocessing.spawn(_move_centers, args=(str(tmp_path), rule), nprocs=2)
    torch.manual_seed(3)
    alone = ClassCenters(classes=K, feature_width=D, alpha=0.5, rule=rule)
    alone.step(alone.attraction(*make_batch()[1:]))
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), alone.centers)


# ---- making them ----


def test_balanced_weights_make_classes_count_the_same():
    weights = balanced_class_weights(torch.tensor([0] * 6 + [1] * 3 + [2]), classes=3)
    np.testing.assert_allclose(weights.numpy() * [6, 3, 1], 10 / 3, rtol=1e-6)
    with pytest.raises(UsageError, match=r"each of 4 classes; found \[6, 3, 1, 0\]"):
        balanced_class_weights(torch.tensor([0] * 6 + [1] * 3 + [2]), classes=4)


def test_an_unknown_loss_is_named():
    with pytest.raises(UsageError, match="legal: cross-entropy, hinge, center, island, focal"):
        make("crossentropy")


@pytest.mark.parametrize(
    "settings", [{"gamma": -1.0}, {"alpha": 1.5}, {"label_smoothing": 1.5}, {"alpha": float("nan")}]
)
def test_settings_out_of_range_are_named(settings):
    with pytest.raises(UsageError, match=f"loss.{next(iter(settings))} = "):
        Config(loss=LossSettings(**settings))


def test_mismatched_shapes_are_an_error():
    logits, features, labels = make_batch()
    with pytest.raises(ValueError, match="expected logits"):
        make("center")(logits[:, :-1], features, labels)
