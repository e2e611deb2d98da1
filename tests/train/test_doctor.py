"""fer-train doctor: what a training needs, probed for real; a GPU that PyTorch does not use is said."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from fer_train import doctor
from fer_train.cli.app import app
from fer_train.environment import choose_precision


@pytest.mark.slow
def test_this_machine_trains():
    done = CliRunner().invoke(app, ["doctor", "--json"])
    findings = {entry["part"]: entry for entry in json.loads(done.stdout)}
    assert findings["training step"]["ok"], findings["training step"]
    assert findings["GPU"]["found"]
    assert findings["torch"]["found"]
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("found", "ok", "words"),
    [
        ({"seen": False, "mps": False, "built": "12.8"}, True, "preset demo"),
        ({"seen": False, "mps": True, "built": None}, True, "mps"),
        ({"seen": True, "name": "T4", "count": 1, "free": 1, "total": 2, "bf16": False}, True, "float16"),
        ({"seen": False, "mps": False, "built": None, "driver_sees": ["GPU 0: X"]}, False, "without CUDA"),
        ({"seen": False, "mps": False, "built": "12.8", "driver_sees": ["GPU 0: X"]}, False, "CUDA 12.8"),
    ],
)
def test_what_is_said_of_a_gpu(monkeypatch, found, ok, words):
    monkeypatch.setattr(doctor, "run_python", lambda code: (True, json.dumps(found)))
    finding = doctor._gpu()
    assert (finding.ok, finding.required) == (ok, False)
    assert words in finding.found
    assert ok or finding.mend


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_bf16_is_asked_for_without_emulation(monkeypatch, native, precision):
    """PyTorch says of a Tesla T4 that it supports bf16, unless it is asked for what the GPU itself can do."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert choose_precision("auto", torch.device("cuda")) == precision
    assert choose_precision("bf16-mixed", torch.device("cuda")) == "bf16-mixed"
    assert choose_precision("auto", torch.device("cpu")) == "32-true"
    assert "is_bf16_supported(including_emulation=False)" in doctor._GPU


def test_a_broken_torch_is_wrong_and_comes_with_a_command(monkeypatch):
    monkeypatch.setattr(doctor, "run_python", lambda code: (False, "ImportError: libtorch_cpu.so"))
    finding = doctor._training_step()
    assert not finding.ok
    assert finding.required
    assert "pip install" in finding.mend or "pip' install" in finding.mend
