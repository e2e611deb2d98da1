"""How much memory images may take: as set, or half of what is free."""

from __future__ import annotations

import pytest
import torch

from fer_prep.errors import UsageError
from fer_train.data import memory
from fer_train.data.memory import memory_limit, parse_bytes

CPU = torch.device("cpu")


def test_processes_of_one_machine_share_half_of_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 8_000_000)
    assert memory_limit("auto", CPU) == (4_000_000, "half of what is free")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_limit("auto", CPU) == (1_000_000, "half of what is free")
    assert memory_limit("3MB", CPU) == (3_000_000, "as set")


@pytest.mark.parametrize(
    ("text", "count"), [("8GB", 8 * 10**9), ("1.5 g", 1_500_000_000), ("500MB", 500_000_000), ("0", 0), ("12", 12)]
)
def test_sizes_as_people_write_them(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["much", "-1GB", "8 GB please", ""])
def test_other_texts_are_refused_with_an_example(text):
    with pytest.raises(UsageError, match="such as 8GB"):
        parse_bytes(text)
