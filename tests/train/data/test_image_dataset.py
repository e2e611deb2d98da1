"""The images of a dataset: in memory or streamed, as stored or at another size, always the same numbers."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
import torch
from waiting import wait_until

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import DatasetFileError, FoldsError, UsageError
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.normalise import FoldNormalisation
from tests.dataset_factories import make_pixels, make_rows, write_global

BOTH = ("rgb", "depth")
PLAN = [torch.tensor(rows) for rows in ([5, 1, 3], list(range(69, -1, -1)), [7], [2, 0])]
BYTES = 70 * 32 * 32 * 7
"""Of 70 samples: three bytes of colour, four of depth."""


@pytest.fixture(scope="module", params=[None, {"compression": "gzip"}], ids=["plain", "gzip"])
def path(tmp_path_factory, request):
    """70 samples of 32²."""
    place = tmp_path_factory.mktemp("data") / "global.h5"
    return write_global(place, make_rows({"bu3dfe": 6, "cald3r": 4}), compression=request.param)


def test_images_are_what_the_file_stores(path):
    data = ImageDataset(path, inputs=BOTH)
    images = data.images(torch.tensor([69, 0, 33]))
    with DatasetFile.open(path) as file:
        np.testing.assert_array_equal(images["rgb"].permute(0, 2, 3, 1).numpy(), file.read("rgb", [69, 0, 33]))
        np.testing.assert_array_equal(images["depth"][:, 0].numpy(), file.read("depth", [69, 0, 33]))
    rgb, depth = make_pixels(0)
    np.testing.assert_array_equal(images["rgb"][1].permute(1, 2, 0).numpy(), rgb)
    np.testing.assert_array_equal(images["depth"][1, 0].numpy(), depth)


@pytest.mark.parametrize("changes", [{}, {"image_size": 24, "equalise": True}], ids=["as stored", "resized"])
@pytest.mark.parametrize("threads", [0, 1, 3])
def test_streamed_images_are_those_of_memory(path, changes, threads):
    there = ImageDataset(path, inputs=BOTH, **changes)
    streamed = ImageDataset(path, inputs=BOTH, memory="0", reading_threads=threads, **changes)
    assert (there.in_memory, streamed.in_memory) == (True, False)
    for rows, images in zip(PLAN, streamed.batches(PLAN), strict=True):
        for name, expected in there.images(rows).items():
            assert torch.equal(images[name], expected)
    rows = torch.arange(3, 40)
    assert streamed.moments(rows) == there.moments(rows)
    assert streamed.rows_of(there.ids[[4, 2]]).tolist() == [4, 2]
    streamed.close()


def test_other_batches_may_come_between_those_of_a_plan(path):
    streamed, there = ImageDataset(path, inputs=BOTH, memory="0"), ImageDataset(path, inputs=BOTH)
    first = streamed.batches(PLAN)
    assert torch.equal(next(first)["rgb"], there.images(PLAN[0])["rgb"])
    for rows, images in zip(PLAN, streamed.batches(reversed(PLAN)), strict=False):
        assert torch.equal(images["depth"], there.images(PLAN[-1 - [r is rows for r in PLAN].index(True)])["depth"])
    for rows, images in zip(PLAN[1:], first, strict=True):
        assert torch.equal(images["rgb"], there.images(rows)["rgb"])
    streamed.close()


def test_an_endless_plan_is_asked_for_a_few_batches_only(path):
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield torch.tensor([len(asked) % 70])

    streamed = ImageDataset(path, inputs=BOTH, memory="0")
    for count, _ in enumerate(streamed.batches(endless()), start=1):
        if count == 29:
            break
    assert len(asked) <= 29 + 3
    streamed.close()


def test_a_closed_dataset_leaves_no_thread(path):
    before = set(threading.enumerate())
    streamed = ImageDataset(path, inputs=BOTH, memory="0", reading_threads=2)
    next(streamed.batches(torch.arange(70).repeat(100).split(8)))
    assert set(threading.enumerate()) - before
    streamed.close()
    wait_until(lambda: not set(threading.enumerate()) - before, "the threads' end", seconds=30)


@pytest.mark.parametrize(("memory", "kept"), [(str(BYTES), True), (str(BYTES - 1), False), ("0", False)])
def test_the_limit_decides_and_is_said(path, memory, kept):
    said = []
    data = ImageDataset(path, inputs=BOTH, memory=memory, reading_threads=1, say=said.append)
    assert data.in_memory == kept
    [line] = said
    assert line.startswith(f"data: 1 MB of images, {'0' if memory == '0' else '1'} MB allowed on cpu (as set): ")
    assert line.endswith("kept there" if kept else "streamed, 1 reading thread")
    data.close()


def test_only_what_the_inputs_need_is_kept(path):
    data = ImageDataset(path, inputs=("rgb",), image_size=16, memory=str(70 * 16 * 16 * 3))
    assert data.in_memory
    assert list(data.images(torch.tensor([0]))) == ["rgb"]


def test_an_unreadable_file_is_named(tmp_path):
    place = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 2}), compression={"compression": "gzip"})
    streamed = ImageDataset(place, inputs=BOTH, memory="0")
    streamed.file.close()
    place.write_bytes(b"not a dataset any more")
    with pytest.raises(DatasetFileError) as raised:
        next(streamed.batches([torch.tensor([0])]))
    assert str(place) in str(raised.value)
    streamed.close()


def test_samples_of_other_classes_have_no_label_and_no_place_in_a_fold(path):
    data = ImageDataset(path, inputs=BOTH, classes=("surprise", "anger"))
    with DatasetFile.open(path) as file:
        emotions = [file.classes[label] for label in file.labels]
    expected = [{"surprise": 0, "anger": 1}.get(name, -1) for name in emotions]
    assert data.labels.tolist() == expected
    neutral = data.ids[emotions.index("neutral")]
    with pytest.raises(FoldsError, match="of none of the classes") as raised:
        data.rows_of([data.ids[expected.index(0)], neutral])
    assert neutral in str(raised.value)
    with pytest.raises(DatasetFileError, match=r"not in this dataset, e\.g\. bu3dfe/nobody"):
        data.rows_of(["bu3dfe/nobody"])


@pytest.mark.parametrize(
    "changes", [{}, {"image_size": 16}, {"equalise": True}], ids=["as stored", "resized", "equalised"]
)
def test_the_training_fold_has_mean_0_and_deviation_1(path, changes):
    data, rows = ImageDataset(path, inputs=BOTH, **changes), torch.arange(10, 60)
    images = to_floats(data.images(rows))
    inputs = FoldNormalisation.fit(data, rows, inputs=BOTH)(images)
    for channel in range(3):
        assert inputs["rgb"][:, channel].mean().item() == pytest.approx(0, abs=1e-4)
        assert inputs["rgb"][:, channel].std().item() == pytest.approx(1, abs=1e-4)
    valid = images["depth"] > 0
    assert inputs["depth"][valid].mean().item() == pytest.approx(0, abs=1e-4)
    assert inputs["depth"][valid].std().item() == pytest.approx(1, abs=1e-4)
    assert bool((inputs["depth"][~valid] == 0).all())
    assert 0 < valid.float().mean() < 1


def test_progress_counts_every_sample(path):
    steps = []

    @contextmanager
    def listen(description, *, total, unit="samples"):
        yield lambda done: steps.append((done, total))

    ImageDataset(path, inputs=BOTH, progress=listen)
    assert sum(done for done, _ in steps) == 70
    assert {total for _, total in steps} == {70}


def test_a_class_that_the_file_lacks_is_named(tmp_path):
    rows = make_rows({"cald3r": 1}, emotions=("anger", "fear"))
    place = write_global(tmp_path / "two.h5", rows, classes=("anger", "fear"))
    with pytest.raises(UsageError, match="no class 'surprise'; it has: anger, fear"):
        ImageDataset(place, inputs=BOTH, classes=("anger", "surprise"))


def test_tables_that_are_not_those_that_were_written_are_refused_before_anything_is_read(tmp_path):
    place = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 2}))
    with h5py.File(place, "r+") as root:
        subjects = root["samples/subject"][()]
        subjects[0] = subjects[-1]  # one letter, and a person stands on both sides of a fold
        root["samples/subject"][...] = subjects
    with pytest.raises(DatasetFileError, match="the digest does not fit"):
        ImageDataset(place, inputs=BOTH)
