"""A machine that only trains has PyTorch and little else: ``fit`` and ``bench`` run without what draws and counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tiny_training import TINY, write_telling_data

BLOCKED = ("scipy", "sklearn", "skimage", "matplotlib", "torchmetrics", "lightning_fabric", "pandas", "tensorboard")


def run(*words: str) -> str:
    code = (
        f"import sys\nfor name in {BLOCKED}: sys.modules[name] = None\n"
        "import importlib.util\nfound = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *rest: None if name in {BLOCKED} else found(name, *rest)\n"
        "from fer_train.__main__ import main; main()"
    )
    settings = [
        f"--set={key}={json.dumps(value)}" for key, value in (TINY | {"training.epochs": 1}).items() if "." in key
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--preset", "demo", *settings],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


@pytest.mark.slow
def test_fit_and_bench_run_without_scipy_scikit_learn_and_matplotlib(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    said = run("fit", "--data", str(data), "--out", str(tmp_path / "run"))
    assert "no report" in said
    assert "no TensorBoard events" in said
    assert (tmp_path / "run/summary.json").is_file()
    assert "training loop" in run("bench", "--data", str(data), "--rounds", "1", "--seconds", "0.05")
