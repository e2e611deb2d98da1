"""Batches: what is drawn once an epoch is what each sample's own key draws."""

from __future__ import annotations

import pytest
import torch

from fer_train.config import AugmentationSettings
from fer_train.data import batches as batches_module
from fer_train.data.batches import Batches
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.random_draws import sample_keys
from fer_train.data.resident import ResidentData
from tests.dataset_factories import make_rows, write_global

ROWS = torch.tensor([41, 3, 69, 0])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "global.h5"
    return ResidentData.load(write_global(path, make_rows({"bu3dfe": 6, "cald3r": 4})))


@pytest.fixture
def batches(data):
    normalisation = FoldNormalisation.fit(data, torch.arange(len(data)))
    return Batches(data, normalisation=normalisation, augmentation=AugmentationSettings(), depth_channels=1, seed=7)


def by_own_keys(batches, *, epoch):
    batch = batches.data.gather(ROWS)
    keys = sample_keys(batch.rows, seed=7, epoch=epoch)
    return batches.augmentation.apply(batch, drawn=batches.augmentation.draw(keys, side=batches.data.image_size))


@pytest.mark.parametrize("at_once", [1 << 16, 9])
def test_every_sample_is_augmented_as_its_key_says(batches, monkeypatch, at_once):
    monkeypatch.setattr(batches_module, "_ROWS_DRAWN_AT_ONCE", at_once)
    for epoch in (0, 1, 0, 5):
        made = batches.training(ROWS, epoch=epoch)
        for found, expected in zip((made.rgb, made.depth), by_own_keys(batches, epoch=epoch), strict=True):
            torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)


def test_epochs_draw_anew(batches):
    first, second = (batches.training(ROWS, epoch=epoch).rgb for epoch in (0, 1))
    assert not torch.allclose(first, second, atol=0.01)
