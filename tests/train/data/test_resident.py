"""The resident dataset: what is on the device is what is in the file."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import class_names
from fer_prep.errors import DatasetFileError, FoldsError, UsageError
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.resident import ResidentData
from tests.dataset_factories import make_pixels, make_rows, write_global


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """70 samples of 32²: more than one read."""
    path = tmp_path_factory.mktemp("data") / "global.h5"
    return write_global(path, make_rows({"bu3dfe": 6, "cald3r": 4}))


def test_pixels_labels_and_ids_are_the_file_s(dataset):
    data = ResidentData.load(dataset)
    batch = data.gather(torch.tensor([69, 0, 33]))
    for place, row in enumerate((69, 0, 33)):
        rgb, depth = make_pixels(row)
        np.testing.assert_allclose(batch.rgb[place].numpy(), rgb.transpose(2, 0, 1) / 255, rtol=1e-6)
        np.testing.assert_allclose(batch.depth[place, 0].numpy(), depth / 65535, rtol=1e-6)
        np.testing.assert_array_equal(batch.valid[place, 0].numpy(), depth > 0)
    with DatasetFile.open(dataset) as file:
        np.testing.assert_array_equal(data.labels.numpy(), file.labels)
        np.testing.assert_array_equal(data.ids, file.ids)
    assert batch.labels.tolist() == data.labels[[69, 0, 33]].tolist()


def test_depth_beyond_int16_comes_back(dataset, tmp_path):
    data = ResidentData.load(dataset)
    data.depth[0, 5, 5] = torch.tensor(65_535).to(torch.int16)
    batch = data.gather(torch.tensor([0]))
    assert batch.depth[0, 0, 5, 5].item() == 1.0
    assert bool(batch.valid[0, 0, 5, 5])


def test_labels_are_dense_in_a_smaller_class_set(dataset):
    classes = class_names("six-without-neutral")
    data = ResidentData.load(dataset, classes=classes)
    names = np.array([sample.rsplit("_", 2)[1] for sample in data.ids])
    for name, label in zip(names, data.labels.tolist(), strict=True):
        assert label == (classes.index(name) if name in classes else -1)
    neutral = next(sample for sample in data.ids if "neutral" in sample)
    with pytest.raises(FoldsError, match="of none of the classes") as raised:
        data.rows_of([data.ids[0], neutral])
    assert neutral in str(raised.value)


def test_rows_are_found_by_id_in_the_order_asked(dataset):
    data = ResidentData.load(dataset)
    wanted = [data.ids[row] for row in (41, 3, 57)]
    assert data.rows_of(wanted).tolist() == [41, 3, 57]
    with pytest.raises(DatasetFileError, match=r"not in this dataset, e\.g\. bu3dfe/nobody"):
        data.rows_of(["bu3dfe/nobody"])


def test_resized_data_has_statistics_of_its_own(dataset):
    data = ResidentData.load(dataset, image_size=16)
    assert data.rgb.shape == (70, 3, 16, 16)
    rows = torch.arange(0, 70, 2)
    batch = data.gather(rows)
    sums = data.statistics(rows)
    assert sums.rgb.count == 35 * 256
    np.testing.assert_allclose(sums.rgb.mean / 255, batch.rgb.double().mean(dim=(0, 2, 3)).numpy(), rtol=1e-5)
    valid = batch.depth[batch.valid > 0].double()
    np.testing.assert_allclose(sums.depth.mean / 65535, valid.mean().item(), rtol=1e-5)
    np.testing.assert_allclose(sums.depth.std / 65535, valid.std(correction=0).item(), rtol=1e-5)


def test_unchanged_data_uses_the_stored_statistics(dataset):
    data = ResidentData.load(dataset)
    with DatasetFile.open(dataset) as file:
        assert data.statistics([1, 2, 3]) == file.statistics([1, 2, 3])


def test_equalised_data_differs_and_is_measured_as_it_is(dataset):
    plain, equalised = ResidentData.load(dataset), ResidentData.load(dataset, equalise=True)
    assert not torch.equal(plain.rgb, equalised.rgb)
    assert torch.equal(plain.depth, equalised.depth)
    mean = equalised.gather(torch.arange(5)).rgb.double().mean(dim=(0, 2, 3)).numpy()
    np.testing.assert_allclose(equalised.statistics(range(5)).rgb.mean / 255, mean, rtol=1e-5)


def test_the_training_fold_is_normalised_to_mean_0_and_deviation_1(dataset):
    data = ResidentData.load(dataset)
    rows = torch.arange(10, 60)
    batch = data.gather(rows)
    rgb, depth = FoldNormalisation.fit(data, rows)(batch.rgb, batch.depth, batch.valid)
    for channel in range(3):
        assert rgb[:, channel].mean().item() == pytest.approx(0, abs=1e-4)
        assert rgb[:, channel].std().item() == pytest.approx(1, abs=1e-4)
    assert depth[batch.valid > 0].mean().item() == pytest.approx(0, abs=1e-4)
    assert depth[batch.valid > 0].std().item() == pytest.approx(1, abs=1e-4)
    assert bool((depth[batch.valid == 0] == 0).all())


def test_progress_counts_every_sample(dataset):
    steps = []

    @contextmanager
    def listen(description, *, total, unit="samples"):
        yield lambda done: steps.append((done, total))

    ResidentData.load(dataset, progress=listen)
    assert sum(done for done, _ in steps) == 70
    assert {total for _, total in steps} == {70}


def test_a_class_that_the_file_lacks_is_named(tmp_path):
    path = write_global(
        tmp_path / "six.h5", make_rows({"cald3r": 1}, emotions=("anger", "fear")), classes=("anger", "fear")
    )
    with pytest.raises(UsageError, match="no class 'surprise'; it has: anger, fear"):
        ResidentData.load(path, classes=("anger", "surprise"))
