"""Validation scores on the device against the same counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from fer_train.losses.cross_entropy import CrossEntropyLoss
from fer_train.training.scores import ACCURACIES, scores_of


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 2], [0, 0, 0, 0, 2, 2]], ids=["all classes", "one is absent"])
def test_loss_and_accuracies_are_those_counted_by_hand(labels):
    called = [0, 0, 1, 1, 2, 2]
    logits = 3 * torch.eye(3)[called] + torch.linspace(0, 1, 18).reshape(6, 3) / 10
    loss = CrossEntropyLoss(classes=3)
    found = scores_of(logits, torch.zeros(6, 4), torch.tensor(labels), loss=loss)
    hits = np.array(called) == np.array(labels)
    recalls = [hits[np.array(labels) == name].mean() for name in sorted(set(labels))]
    expected = [
        float(functional.cross_entropy(logits, torch.tensor(labels))),
        100 * hits.mean(),
        100 * np.mean(recalls),
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    assert len(ACCURACIES) == len(found) - 1
    assert not found.requires_grad
