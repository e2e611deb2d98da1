"""One run per folder, and no stale locks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from fer_prep.errors import BusyError, UsageError
from fer_prep.folder_lock import LOCK_NAME, file_lock, folder_lock

HOLD = """
import sys, time
from pathlib import Path
from fer_prep.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock on ``tmp_path``."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_run_is_told_who_the_first_is(tmp_path, holder):
    with pytest.raises(BusyError) as caught, folder_lock(tmp_path):
        pass
    assert f"process {holder.pid} on {socket.gethostname()}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_a_refused_run_does_not_take_the_lock_away(tmp_path, holder):
    for _ in range(2):
        with pytest.raises(BusyError), folder_lock(tmp_path):
            pass


def test_a_killed_run_leaves_no_lock(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK_NAME).exists()
    with folder_lock(tmp_path):
        pass
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_failed_run_leaves_no_lock(tmp_path):
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    with folder_lock(tmp_path):
        pass


def test_never_two_at_once_while_locks_come_and_go(tmp_path):
    """Taking, unlinking and taking again by several threads never lets two in."""
    inside, met = [0], []

    def take_often():
        for _ in range(100):
            try:
                with folder_lock(tmp_path):
                    inside[0] += 1
                    met.append(inside[0])
                    inside[0] -= 1
            except BusyError:
                continue

    threads = [threading.Thread(target=take_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(met) == {1}


def test_a_file_is_held_too_and_named(tmp_path):
    out = tmp_path / "global.h5"
    with file_lock(out):
        assert [path.name for path in tmp_path.iterdir()] == [".global.h5.lock"]
        said = rf"another run is writing here \(process {os.getpid()} "
        with pytest.raises(BusyError, match=said) as caught, file_lock(out):
            pass
        assert caught.value.path == out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "file"])
def test_what_lies_where_the_lock_would_be_is_left_alone(tmp_path, kind):
    precious = tmp_path / "precious.txt"
    precious.write_text("process of reform" if kind == "hard link" else "mine")
    lock = tmp_path / "out" / ".lock"
    lock.parent.mkdir()
    if kind == "symbolic link":
        lock.symlink_to(precious)
    elif kind == "hard link":
        lock.hardlink_to(precious)
    else:
        lock.write_text("mine")
    before = precious.read_text()
    with pytest.raises(UsageError), folder_lock(lock.parent):
        pass
    assert precious.read_text() == before
    assert lock.exists()
    if kind == "file":
        assert lock.read_text() == "mine"
