"""fer-train doctor: what a training needs, probed for real; a GPU that PyTorch does not use is said."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fer_train import doctor
from fer_train.cli.app import app


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


def test_a_broken_torch_is_wrong_and_comes_with_a_command(monkeypatch):
    monkeypatch.setattr(doctor, "run_python", lambda code: (False, "ImportError: libtorch_cpu.so"))
    finding = doctor._training_step()
    assert not finding.ok
    assert finding.required
    assert "pip install" in finding.mend or "pip' install" in finding.mend
