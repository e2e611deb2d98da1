"""``fer-train kfold`` as a program of its own, to be waited for or killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tiny_training import TINY

SETTINGS = TINY | {"training.epochs": 3, "machine.checkpoint_seconds": 0.0, "model.dropout": 0.2}


def command(data: Path, out: Path, *options: str) -> list[str]:
    settings = [f"--set={key}={json.dumps(value)}" for key, value in SETTINGS.items() if "." in key]
    program = "from fer_train.__main__ import main; main()"
    places = ["--data", str(data), "--out", str(out)]
    return [sys.executable, "-c", program, "kfold", "--folds", "2", "--preset", "demo", *places, *settings, *options]


def start(arguments: list[str]) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(arguments: list[str]) -> str:
    process = start(arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def checkpoint_times(out: Path) -> tuple[float, ...]:
    return tuple(path.stat().st_mtime_ns for path in sorted(out.glob("fold-*/last.ckpt")))


def kill_after_checkpoints(arguments: list[str], out: Path, *, count: int) -> None:
    """Start, wait until the checkpoint changed ``count`` times, then SIGKILL."""
    process = start(arguments)
    seen, changes, limit = checkpoint_times(out), 0, time.monotonic() + 200
    while changes < count and time.monotonic() < limit and process.poll() is None:
        now = checkpoint_times(out)
        changes, seen = changes + (now != seen), now
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
