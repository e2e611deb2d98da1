"""Counter-based draws: equal to the published generator, uniform, and independent of batch and order."""

from __future__ import annotations

import numpy as np
import torch

from fer_train.data.random_draws import epoch_order, sample_keys, uniforms

MASK = (1 << 64) - 1


def split_mix(value: int) -> int:
    """One output of SplitMix64 for the state ``value``, in Python integers."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def test_keys_and_draws_follow_splitmix64():
    seed, epoch, rows = 7, 3, [0, 1, 12_117, 1_800_000]
    keys = sample_keys(torch.tensor(rows), seed=seed, epoch=epoch)
    run = split_mix((split_mix(seed) + epoch) & MASK)
    assert [int(key) & MASK for key in keys] == [split_mix((row + run) & MASK) for row in rows]
    for draw in (0, 5):
        state = [(int(key) & MASK) + 0x9E3779B97F4A7C15 * (draw + 1) for key in keys]
        expected = [(split_mix(value & MASK) >> 40) / 2**24 for value in state]
        assert uniforms(keys, draws=6)[draw].tolist() == expected


def test_splitmix64_is_the_published_one():
    # first output for the state 0, as in the reference implementation of java.util.SplittableRandom's mixer
    assert split_mix(0) == 0xE220A8397B1DCDAF


def test_a_sample_draws_the_same_in_any_batch_and_order():
    rows = torch.arange(100)
    whole = uniforms(sample_keys(rows, seed=1, epoch=2), draws=4)
    turned = uniforms(sample_keys(rows.flip(0)[:7], seed=1, epoch=2), draws=4)
    assert torch.equal(turned, whole.flip(1)[:, :7])


def test_draws_are_uniform_and_uncorrelated():
    rows = torch.arange(20_000)
    columns = [row for epoch in (0, 1) for row in uniforms(sample_keys(rows, seed=1, epoch=epoch), draws=2)]
    columns += uniforms(sample_keys(rows, seed=2, epoch=0), draws=1)
    columns += uniforms(sample_keys(rows + 1, seed=1, epoch=0), draws=1)  # the neighbour's
    values = torch.stack(columns).numpy()
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.stack([np.histogram(row, bins=20, range=(0, 1))[0] for row in values])
    assert ((counts - 1000) ** 2 / 1000).sum(axis=1).max() < 45  # chi² with 19 degrees of freedom: 99.9 % is 43.8
    correlation = np.corrcoef(values) - np.eye(len(values))
    assert np.abs(correlation).max() < 0.03


def test_negative_and_large_seeds_are_seeds():
    rows = torch.arange(3)
    keys = [sample_keys(rows, seed=seed, epoch=0).tolist() for seed in (-1, 2**63, 2**40, 0)]
    assert len({tuple(each) for each in keys}) == 4


def test_the_order_of_an_epoch_is_a_permutation_of_its_own():
    rows = torch.arange(50) * 3
    first, again = (epoch_order(rows, seed=1, epoch=0) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first.sort().values, rows)
    assert not torch.equal(first, epoch_order(rows, seed=1, epoch=1))
    assert not torch.equal(first, rows)
    # the same samples in another order to start with, and fewer of them: the order among them stays
    some = rows[torch.tensor([40, 3, 17, 8])]
    assert epoch_order(some, seed=1, epoch=0).tolist() == [row for row in first.tolist() if row in some.tolist()]
