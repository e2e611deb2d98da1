"""Batches: every sample is augmented as its own key says, whatever it comes with."""

from __future__ import annotations

import pytest
import torch

from fer_train.config import AugmentationSettings
from fer_train.data.batches import Batches
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.normalise import FoldNormalisation
from tests.dataset_factories import make_rows, write_global

ROWS = torch.tensor([41, 3, 69, 0])
BOTH = ("rgb", "depth")


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    path = write_global(tmp_path_factory.mktemp("data") / "global.h5", make_rows({"bu3dfe": 6, "cald3r": 4}))
    data = ImageDataset(path, inputs=BOTH)
    normalisation = FoldNormalisation.fit(data, torch.arange(len(data)), inputs=BOTH)
    return Batches(data, normalisation=normalisation, augmentation=AugmentationSettings(), seed=7)


def test_a_sample_looks_the_same_in_any_batch_of_an_epoch(batches):
    whole, *parts = batches.training([(2, ROWS), (2, ROWS[2:]), (2, ROWS[:2])])
    assert torch.equal(whole.labels, batches.data.labels[ROWS])
    for name in BOTH:
        torch.testing.assert_close(torch.cat([parts[1].inputs[name], parts[0].inputs[name]]), whole.inputs[name])


def test_epochs_draw_anew(batches):
    first, second = batches.training([(0, ROWS), (1, ROWS)])
    assert not torch.allclose(first.inputs["rgb"], second.inputs["rgb"], atol=0.01)
    assert torch.equal(first.labels, second.labels)


def test_validation_changes_nothing_but_the_scale(batches):
    [found] = batches.validation([ROWS])
    expected = batches.normalisation(to_floats(batches.data.images(ROWS)))
    for name in BOTH:
        assert torch.equal(found.inputs[name], expected[name])


def test_mixup_shows_the_neighbour_as_much_as_the_target_says(batches):
    mixed = Batches(
        batches.data, normalisation=batches.normalisation, augmentation=AugmentationSettings(mixup=0.4), seed=7
    )
    [plain], [found] = batches.training([(0, ROWS)]), mixed.training([(0, ROWS)])
    truth = torch.nn.functional.one_hot(plain.labels, len(batches.data.classes)).float()
    share = found.targets.gather(1, plain.labels[:, None])[:, 0]
    share = torch.where(plain.labels == plain.labels.roll(1), torch.nan, share)
    told = ~share.isnan()
    assert int(told.sum()) >= 2
    assert bool(((share[told] >= 0.6) & (share[told] <= 1)).all())
    for name in BOTH:
        own = share.reshape(-1, 1, 1, 1)
        expected = own * plain.inputs[name] + (1 - own) * plain.inputs[name].roll(1, dims=0)
        torch.testing.assert_close(found.inputs[name][told], expected[told], atol=1e-5, rtol=1e-5)
    expected = share[:, None] * truth + (1 - share)[:, None] * truth.roll(1, dims=0)
    torch.testing.assert_close(found.targets[told], expected[told])
