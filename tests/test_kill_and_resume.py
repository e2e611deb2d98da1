"""The real command, really killed, on a real tree: whatever happens, the folder ends with the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folder_snapshot import snapshot
from noise_tree import write_noise_tree

from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.prepare.folder import PreparedFolder

KILLS = 32
SAMPLES = 40


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A MenD3s tree, with two recordings that are rejected."""
    root = tmp_path_factory.mktemp("raw") / "MenD3s"
    write_noise_tree(root, samples=SAMPLES)
    return root


def command(tree: Path, out: Path, *, size: int = 96, workers: int = 2) -> list[str]:
    options = {"root": tree, "out": out, "size": size, "workers": workers}
    texts = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    program = [sys.executable, "-c", "from fer_prep.__main__ import main; main()"]
    return [*program, "align", "--landmarks", f"file:{tree.parent / 'points.csv'}", *texts]


def run(tree: Path, out: Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command(tree, out, **options), capture_output=True, text=True)


def killed(process: subprocess.Popen, out: Path, *, seconds: float, samples: int | None) -> bool:
    """Kill a run with SIGKILL after so many seconds; whether it was still running.

    With ``samples``, the seconds count from the moment when so many samples have been recorded since now.
    """
    try:
        if samples is not None:
            wanted = recorded(out) + samples
            while recorded(out) < wanted and process.poll() is None:
                time.sleep(0.001)
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return False


def recorded(out: Path) -> int:
    """How many lines the records of a run at work have; 0 where none is at work."""
    try:
        return 0 if (out / "prepared.json").exists() else (out / ".records.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


@pytest.fixture(scope="module")
def undisturbed(tree, tmp_path_factory):
    """Size → the folder of a run that nothing disturbed, and how long it took."""
    results = {}
    for size in (96, 64):
        out = tmp_path_factory.mktemp("undisturbed") / "mend3s"
        start = time.monotonic()
        done = run(tree, out, size=size, workers=1)
        assert done.returncode == 0, done.stderr
        results[size] = snapshot(out), time.monotonic() - start
    return results


@pytest.mark.slow
def test_killed_at_random_moments_the_folder_ends_the_same(tree, undisturbed, tmp_path):
    """At least 30 SIGKILLs; now and then the setting changes, the number of workers changes, or all starts anew.

    Every other kill comes at a moment drawn from the whole run, start and end included. The others come a few samples
    into the work, so that however fast the machine is, many kills hit a run that is writing.
    """
    out = tmp_path / "mend3s"
    draw = random.Random(11)
    kills, partial_folders = 0, 0
    while kills < KILLS:
        size = draw.choice((96, 96, 64))
        for _ in range(draw.randint(1, 6)):
            if kills % 2:
                moment = {"seconds": draw.uniform(0.2, 1.0) * undisturbed[size][1], "samples": None}
            else:
                moment = {"seconds": draw.uniform(0.0, 0.05), "samples": draw.randint(1, 8)}
            process = subprocess.Popen(
                command(tree, out, size=size, workers=draw.choice((1, 2))),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            if not killed(process, out, **moment):
                break
            kills += 1
            partial_folders += recorded(out) > 0
        done = run(tree, out, size=size)
        assert done.returncode == 0, done.stderr
        assert snapshot(out) == undisturbed[size][0]
        if draw.random() < 0.5:
            shutil.rmtree(out)
    assert partial_folders >= KILLS // 4, "too few kills hit a run at work: the test shows nothing"
    assert not check_prepared(out, deep=True).failed if out.exists() else True


@pytest.mark.slow
def test_a_full_disk_is_a_clear_error_and_nothing_is_half_written(tree, undisturbed, tmp_path):
    """On a real file system that is too small; what fitted is continued where there is more room."""
    small, kept = tmp_path / "small", tmp_path / "kept"
    small.mkdir()
    script = 'mount -t tmpfs -o size=512k tmpfs "$0" || exit 77; "$@"; code=$?; cp -a "$0/out" "$KEPT"; exit $code'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(small), *command(tree, small / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "KEPT": str(kept)},
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    assert done.returncode == 2, done.stderr
    assert "no space left on device" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    names = {file for file in snapshot(kept) if file != ".records.jsonl"}
    whole = undisturbed[96][0]
    assert 0 < len(names) < len(whole)
    assert {name: content for name, content in snapshot(kept).items() if name in names} == {
        name: whole[name] for name in names
    }
    assert run(tree, kept).returncode == 0
    assert snapshot(kept) == whole


@pytest.mark.slow
def test_the_second_of_two_runs_stops_and_the_first_is_not_disturbed(tree, undisturbed, tmp_path):
    out = tmp_path / "mend3s"
    first = subprocess.Popen(command(tree, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (out / ".lock").exists() or not (out / ".lock").read_text():
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)  # so that it cannot be done before the second has started
    second = run(tree, out)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"another run is writing here (process {first.pid} on " in second.stderr
    assert "Traceback" not in second.stderr
    assert first.wait() == 0
    assert snapshot(out) == undisturbed[96][0]


def test_ctrl_c_stops_at_once_and_the_folder_says_that_it_is_half_done(tree, tmp_path):
    out = tmp_path / "mend3s"
    process = subprocess.Popen(
        command(tree, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not any(out.glob("rgb/*.png")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert "the same command continues" in said
    assert "Traceback" not in said
    with pytest.raises(Exception, match="half done"):
        PreparedFolder.open(out)
    assert not list(out.rglob(".*.part"))
    assert not (out / ".lock").exists()
