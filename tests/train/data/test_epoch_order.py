"""The order of an epoch: a function of (seed, epoch, rows, shards), mixed within windows of shards."""

from __future__ import annotations

import torch

from fer_train.data.epoch_order import epoch_order

ROWS = torch.arange(1000)[torch.arange(1000) % 5 != 0]  # a training side: 800 of 1000
SHARDS = [100] * 10


def windows_of(order: torch.Tensor, *, count: int) -> list[set[int]]:
    """Which shards each of ``count`` equal stretches of an order touches."""
    return [{row // 100 for row in part.tolist()} for part in order.chunk(count)]


def test_small_data_is_shuffled_as_a_whole_whatever_its_shards():
    plain = epoch_order(ROWS, seed=3, epoch=1)
    assert torch.equal(epoch_order(ROWS, seed=3, epoch=1, shard_sizes=SHARDS), plain)
    assert torch.equal(epoch_order(ROWS, seed=3, epoch=1, shard_sizes=SHARDS, mixed_samples=401), plain)
    assert all(len(touched) == 10 for touched in windows_of(plain, count=4))


def test_large_data_is_visited_window_by_window():
    order = epoch_order(ROWS, seed=3, epoch=1, shard_sizes=SHARDS, mixed_samples=160)
    assert torch.equal(order.sort().values, ROWS)
    # 800 samples in 5 windows of 160: two shards each, and no shard in two windows
    windows = windows_of(order, count=5)
    assert [len(touched) for touched in windows] == [2] * 5
    assert set().union(*windows) == set(range(10))
    for part in order.chunk(5):
        first, second = part.chunk(2)
        assert not torch.equal(part, part.sort().values)
        assert {row // 100 for row in first.tolist()} == {row // 100 for row in second.tolist()}  # mixed inside


def test_every_epoch_and_seed_makes_its_own_windows():
    options = {"shard_sizes": SHARDS, "mixed_samples": 160}
    orders = [epoch_order(ROWS, seed=seed, epoch=epoch, **options) for seed, epoch in ((3, 1), (3, 1), (3, 2), (4, 1))]
    assert torch.equal(orders[0], orders[1])
    kept = [windows_of(order, count=5) for order in orders]
    assert kept[2] != kept[0]
    assert kept[3] != kept[0]


def test_windows_are_of_about_equal_size_where_shards_are_not():
    sizes = [400, 50, 50, 100, 100, 50, 250]
    order = epoch_order(torch.arange(1000), seed=1, epoch=0, shard_sizes=sizes, mixed_samples=250)
    shard_of = torch.repeat_interleave(torch.arange(7), torch.tensor(sizes))
    runs = shard_of[order].tolist()
    last_seen = {shard: max(place for place, value in enumerate(runs) if value == shard) for shard in range(7)}
    first_seen = {shard: runs.index(shard) for shard in range(7)}
    # a shard belongs to one window: between its first and last sample there is nothing but that window's shards
    for shard in range(7):
        inside = set(runs[first_seen[shard] : last_seen[shard] + 1])
        assert sum(sizes[other] for other in inside) <= 400 + 250
