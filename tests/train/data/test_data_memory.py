"""In memory or streamed: decided by size and free memory, said in one line."""

from __future__ import annotations

import pytest
import torch

from fer_prep.errors import UsageError
from fer_train.config import MachineSettings
from fer_train.data import data_memory
from fer_train.data.data_memory import load_data, memory_limit, parse_bytes
from fer_train.data.resident import ResidentData
from fer_train.data.streaming import StreamingData
from tests.dataset_factories import make_rows, write_global

CPU = torch.device("cpu")
PIXELS = 7 * 2 * 32 * 32 * 5
"""Bytes of two people with seven expressions, RGB and depth."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_global(tmp_path_factory.mktemp("data") / "global.h5", make_rows({"bu3dfe": 2}))


@pytest.mark.parametrize(
    ("limit", "kind"), [(str(PIXELS), ResidentData), (str(PIXELS - 1), StreamingData), ("0", StreamingData)]
)
def test_the_limit_decides(dataset, limit, kind):
    said = []
    machine = MachineSettings(data_memory=limit, reading_workers=0)
    data = load_data(dataset, device=CPU, machine=machine, say=said.append)
    assert isinstance(data, kind)
    [line] = said
    assert line.startswith("data: 0 MB of pixels, 0 MB allowed on cpu (as set): ")
    assert ("kept there" in line) == (kind is ResidentData)
    assert ("streamed, no reading threads" in line) == (kind is StreamingData)


def test_the_size_is_that_of_the_pictures_as_they_will_be(dataset):
    machine = MachineSettings(data_memory=str(PIXELS // 4), reading_workers=0)
    assert isinstance(load_data(dataset, device=CPU, machine=machine, image_size=16), ResidentData)
    assert isinstance(load_data(dataset, device=CPU, machine=machine, image_size=17), StreamingData)


def test_by_itself_it_takes_half_of_what_is_free(dataset, monkeypatch):
    monkeypatch.setattr(data_memory, "free_memory_bytes", lambda: 2 * PIXELS)
    assert isinstance(load_data(dataset, device=CPU), ResidentData)
    monkeypatch.setattr(data_memory, "free_memory_bytes", lambda: 2 * PIXELS - 2)
    said = []
    data = load_data(dataset, device=CPU, say=said.append)
    assert isinstance(data, StreamingData)
    assert "half of what is free" in said[0]
    assert "1 reading thread" in said[0]


def test_processes_of_one_machine_share_its_memory(monkeypatch):
    monkeypatch.setattr(data_memory, "free_memory_bytes", lambda: 8_000_000)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_limit("auto", CPU) == (1_000_000, "half of what is free")


def test_too_little_shared_memory_means_fewer_workers(dataset, tmp_path, monkeypatch):
    packed = write_global(tmp_path / "gzip.h5", make_rows({"bu3dfe": 2}), compression={"compression": "gzip"})

    class Usage:
        free = 64 * 32 * 32 * 5 * 4 * 2  # two workers' worth

    monkeypatch.setattr(data_memory.shutil, "disk_usage", lambda path: Usage)
    said = []
    machine = MachineSettings(data_memory="0", reading_workers=5)
    load_data(packed, device=CPU, machine=machine, say=said.append)
    assert "2 reading processes (more do not fit into /dev/shm" in said[0]
    load_data(dataset, device=CPU, machine=machine, say=said.append)
    assert said[1].endswith("streamed, 5 reading threads")


@pytest.mark.parametrize(
    ("text", "count"), [("8GB", 8 * 10**9), ("1.5 g", 1_500_000_000), ("500MB", 500_000_000), ("0", 0), ("12", 12)]
)
def test_sizes_as_people_write_them(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["much", "-1GB", "8 GB please", ""])
def test_other_texts_are_refused_with_an_example(text):
    with pytest.raises(UsageError, match="such as 8GB"):
        parse_bytes(text)
