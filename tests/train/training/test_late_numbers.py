"""Numbers join the history late, all at once, each in its own row."""

from __future__ import annotations

import torch

from fer_train.training.late_numbers import LateNumbers


def test_numbers_join_the_rows_they_belong_to():
    history = [{"step": 1.0}, {"step": 2.0}, {"step": 3.0}]
    late = LateNumbers()
    late.add(1, ("train_loss", "train_accuracy"), torch.tensor([0.5, 75.0]))
    late.add(2, ("train_loss", "train_accuracy"), torch.tensor([0.25, 100.0], dtype=torch.float64))
    late.add(1, ("val_loss",), torch.tensor([2.0]))
    assert len(late) == 3
    assert late.join(history) == history[1:]
    assert history == [
        {"step": 1.0},
        {"step": 2.0, "train_loss": 0.5, "train_accuracy": 75.0, "val_loss": 2.0},
        {"step": 3.0, "train_loss": 0.25, "train_accuracy": 100.0},
    ]


def test_numbers_may_be_computed_when_they_are_read():
    history, computed = [{"step": 1.0}], []
    late = LateNumbers()
    late.add(0, ("train_loss",), lambda: computed.append(1) or torch.tensor([0.5]))
    assert not computed
    late.join(history)
    late.join(history)
    assert (history, computed) == ([{"step": 1.0, "train_loss": 0.5}], [1])


def test_numbers_join_once():
    history = [{"step": 1.0}]
    late = LateNumbers()
    late.add(0, ("train_loss",), torch.tensor([1.0]))
    late.join(history)
    assert len(late) == 0
    assert late.join(history) == []
