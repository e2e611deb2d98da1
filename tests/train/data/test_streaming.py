"""Streamed data: the same batches and trained weights as from memory, from threads, or workers that may die."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import psutil
import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import tiny_config, write_telling_data
from waiting import wait_until

from fer_prep.errors import DatasetFileError, EngineError, FoldsError
from fer_train.data.resident import ResidentData
from fer_train.data.streaming import PIECES_AHEAD, ROWS_A_PIECE, StreamingData
from fer_train.training.fold import prepare_training
from fer_train.training.loop import FoldRows
from tests.dataset_factories import make_rows, write_global

ROWS = [torch.tensor(rows) for rows in ([5, 1, 3], list(range(69, -1, -1)), [7], [2, 0])]
"""The second is larger than a piece."""


@pytest.fixture(scope="module", params=[None, {"compression": "gzip"}], ids=["plain", "gzip"])
def dataset(tmp_path_factory, request):
    """70 samples of 32²: read by threads, and by processes where they are compressed."""
    path = tmp_path_factory.mktemp("data") / "global.h5"
    return write_global(path, make_rows({"bu3dfe": 6, "cald3r": 4}), compression=request.param)


@pytest.fixture
def streaming(dataset):
    data = StreamingData.open(dataset, workers=1)
    yield data
    data.close()


@pytest.fixture(autouse=True)
def one_thread():
    """More would wait for each other where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def worker_pids(data: StreamingData) -> list[int]:
    if data._loader is None:
        return [thread.native_id for thread in data._threads._threads._threads]
    return [process.pid for process in data._loader._iterator._workers]


def gather_all(data: StreamingData, batches) -> None:
    for rows in batches:
        data.gather(rows)


def assert_equal_batches(found, expected):
    for name in ("rgb", "depth", "valid", "labels", "rows"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert found.rgb.stride() == expected.rgb.stride()


@pytest.mark.parametrize("changes", [{}, {"image_size": 24, "equalise": True}], ids=["as stored", "resized"])
def test_batches_are_those_of_memory(dataset, changes):
    resident = ResidentData.load(dataset, **changes)
    streamed = StreamingData.open(dataset, workers=2, **changes)
    streamed.hits = 0
    streamed.announce(ROWS)
    for rows in ROWS:
        assert_equal_batches(streamed.gather(rows), resident.gather(rows))
    assert streamed.hits == len(ROWS)
    rows = np.arange(3, 40)
    assert streamed.statistics(rows) == resident.statistics(rows)
    assert streamed.rows_of(resident.ids[[4, 2]]).tolist() == [4, 2]
    streamed.close()


def test_what_was_not_announced_is_read_on_the_spot(dataset, streaming):
    resident = ResidentData.load(dataset)
    streaming.announce(ROWS)
    surprise = torch.tensor([60, 61, 2])
    assert_equal_batches(streaming.gather(surprise), resident.gather(surprise))
    assert_equal_batches(streaming.gather(ROWS[0]), resident.gather(ROWS[0]))
    assert streaming.hits == 1


def test_a_new_announcement_replaces_the_old_one_and_keeps_the_workers(dataset, streaming):
    resident = ResidentData.load(dataset)
    streaming.announce(ROWS)
    streaming.gather(ROWS[0])
    before = worker_pids(streaming)
    streaming.announce(reversed(ROWS))
    for rows in reversed(ROWS):
        assert_equal_batches(streaming.gather(rows), resident.gather(rows))
    assert streaming.hits == 1 + len(ROWS)
    assert worker_pids(streaming) == before


def test_an_endless_announcement_is_asked_for_a_few_pieces_only(dataset, streaming):
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield torch.tensor([len(asked) % 70])

    streaming.announce(endless())
    for count in range(1, 30):
        streaming.gather(torch.tensor([count]))
    assert streaming.hits == 29
    assert len(asked) <= 29 + PIECES_AHEAD
    assert ROWS_A_PIECE >= 1


def test_a_closed_dataset_leaves_no_thread_and_no_open_file(tmp_path):
    path = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 6, "cald3r": 4}))
    streamed = StreamingData.open(path, workers=2)
    streamed.announce(torch.arange(70).repeat(1000).split(8))  # more than it will be asked for
    streamed.gather(torch.arange(8))
    family = psutil.Process()
    reading = set(worker_pids(streamed))
    assert reading <= {thread.id for thread in family.threads()}
    assert str(path) in {file.path for file in family.open_files()}
    streamed.close()
    # a thread that Python has joined is still the system's for a moment
    wait_until(lambda: not reading & {thread.id for thread in family.threads()}, "the threads' end", seconds=30)
    assert str(path) not in {file.path for file in family.open_files()}


def test_without_workers_it_reads_in_this_process(dataset):
    streamed = StreamingData.open(dataset, workers=0, image_size=24)
    resident = ResidentData.load(dataset, image_size=24)
    streamed.announce(ROWS)
    assert_equal_batches(streamed.gather(ROWS[1]), resident.gather(ROWS[1]))
    assert streamed.statistics([1, 2]) == resident.statistics([1, 2])


def test_samples_of_other_classes_are_refused_alike(dataset):
    streamed = StreamingData.open(dataset, workers=0, classes=("anger", "fear"))
    with pytest.raises(FoldsError, match="of none of the classes"):
        streamed.rows_of(streamed.ids[:7])


@pytest.mark.slow
def test_a_killed_worker_ends_the_reading_with_advice(tmp_path):
    path = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 6, "cald3r": 4}), compression={"compression": 1})
    streaming = StreamingData.open(path, workers=1)
    streaming.announce(torch.arange(70).repeat(1000).split(8))
    streaming.gather(torch.arange(8))
    os.kill(worker_pids(streaming)[0], signal.SIGKILL)
    with pytest.raises(EngineError, match=r"reads global\.h5 ended") as raised:
        gather_all(streaming, (torch.arange(8, 70 * 1000) % 70).split(8))
    assert "reading_workers" in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, {"compression": "gzip"}], ids=["plain", "gzip"])
def test_a_file_that_becomes_unreadable_is_named(tmp_path, compression):
    path = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 2}), compression=compression)
    streamed = StreamingData.open(path, workers=1)
    path.write_bytes(b"not a dataset any more")
    streamed.announce([torch.tensor([0])])
    time.sleep(0.1)
    with pytest.raises(DatasetFileError) as raised:
        streamed.gather(torch.tensor([0]))
    assert str(path) in str(raised.value)
    streamed.close()


@pytest.mark.slow
@pytest.mark.parametrize("stored", [32, 40])
def test_trained_weights_are_the_same_bit_for_bit(tmp_path, stored):
    """Island loss, dropout, inner split and averaged weights, two epochs; also where the pictures are resized."""
    path = write_telling_data(tmp_path / "global.h5", subjects=6, size=stored)
    states = []
    for kind in ("resident", "streamed"):
        options = {"workers": 1} if kind == "streamed" else {}
        make = StreamingData.open if kind == "streamed" else ResidentData.load
        data = make(path, image_size=32, **options)
        training = prepare_training(
            FoldRows(train=torch.arange(26), val=torch.arange(29, 42), inner=torch.arange(26, 29)),
            data=data,
            config=tiny_config(training__ema_decay=0.9, model__dropout=0.3, training__inner_split=0.1),
            fabric=Fabric(accelerator="cpu", devices=1),
            seed=7,
            checkpoint=tmp_path / f"{kind}.ckpt",
        )
        if kind == "streamed":
            data.hits = 0
        states.append(training.run().to_checkpoint(torch.device("cpu")))
        logits = training.final_outputs()[0]
        states[-1]["logits"] = logits
        if kind == "streamed":
            # 2 epochs of 12 + 12 and, after a validation, 2 samples; 2 validations each of val and inner, and the last
            assert data.hits == 2 * (1 + 1 + 2 * 2) + 1
            data.close()
    for name in ("network", "loss", "ema"):
        for key, value in states[0][name].items():
            assert torch.equal(value, states[1][name][key]), f"{name}.{key}"
    assert states[0]["history"] == states[1]["history"]
    assert torch.equal(states[0]["logits"], states[1]["logits"])
