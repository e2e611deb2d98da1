"""As many threads as are free, and the choice is said."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fer_train.training import threads


@pytest.fixture
def four(monkeypatch):
    """A process that may use four processors, none of whose threads anybody has set."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable_cpus", lambda: 4)
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("idle", "taken"), [(3.9, 4), (2.2, 2), (0.0, 1), (60.0, 4), (None, 4)])
def test_threads_are_those_that_are_free(four, monkeypatch, idle, taken):
    monkeypatch.setattr(threads, "idle_processors", lambda: idle)
    assert threads.settle_threads(0).startswith(f"threads: {taken}; 4 processors may be used")
    assert torch.get_num_threads() == taken


def test_what_the_user_says_is_taken(four, monkeypatch):
    monkeypatch.setattr(threads, "idle_processors", lambda: 0.0)
    assert threads.settle_threads(3) == "threads: 3, as set"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert threads.settle_threads(0) == "threads: 3, as set"


def test_idle_processors_are_counted():
    found = threads.idle_processors(seconds=0.1)
    assert found is None or 0 <= found < 10_000


def test_the_program_waits_asleep():
    code = (
        "import os, sys; sys.argv = ['fer-train', '--version']; from fer_train.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(os.environ['OMP_WAIT_POLICY'], os.environ['KMP_BLOCKTIME'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["passive", "0"]
