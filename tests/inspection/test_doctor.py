"""The doctor tells what is wrong, and every complaint comes with one command."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fer_prep import resources
from fer_prep.cli import diagnosis, doctor
from fer_prep.cli.app import app
from fer_prep.cli.diagnosis import Diagnosis, disk, memory, packages
from fer_prep.cli.system_libraries import SystemLibrary


@pytest.mark.slow
def test_this_machine_is_examined_as_json():
    done = CliRunner().invoke(app, ["doctor", "--json"])
    findings = {entry["part"]: entry for entry in json.loads(done.stdout)}
    assert findings["renderer numpy"]["ok"]
    assert findings["landmarks mediapipe"]["ok"]
    assert "GB free" in findings["disk"]["found"]
    required = [part for part, entry in findings.items() if entry["required"] and not entry["ok"]]
    assert done.exit_code == (1 if required else 0), required


def test_on_a_bare_machine_every_complaint_has_its_command(monkeypatch, tmp_path):
    def nothing_installed(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nothing_installed)
    monkeypatch.setattr(SystemLibrary, "loads", lambda self: False)
    monkeypatch.setattr(doctor, "probe_renderers", lambda: {"numpy": "broken", "open3d": "broken"})
    monkeypatch.setattr(doctor, "run_python", lambda code: (False, "ModuleNotFoundError: mediapipe"))
    failed = [finding for finding in doctor.examine(folder=tmp_path) if not finding.ok]
    assert {"mediapipe", "libGL.so.1", "renderer numpy", "landmarks mediapipe"} <= {f.part for f in failed}
    assert all(finding.mend and "\n" not in finding.mend for finding in failed)
    assert {f.part for f in failed if not f.required} >= {"hdf5plugin", "libXrender.so.1"}
    assert all(f.required for f in failed if f.part.startswith("renderer")), "not one renderer works"


def test_one_working_renderer_is_enough(monkeypatch):
    monkeypatch.setattr(doctor, "probe_renderers", lambda: {"numpy": "", "opengl": "no display"})
    assert [(f.ok, f.required) for f in doctor._renderers()] == [(True, False), (False, False)]


def test_an_untested_version_is_named_but_nothing_to_fail_for(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1")
    found = next(found for found in packages() if found.part == "numpy")
    wanted = resources.tested_versions()["numpy"]
    assert (found.ok, found.required, found.found) == (False, False, f"0.0.1, tested with {wanted}")
    assert found.mend.endswith(f"pip install numpy=={wanted}")


def test_a_folder_that_cannot_be_written_to_is_wrong():
    room, writing = disk(Path("/proc"))
    assert not room.ok
    assert (writing.ok, writing.required) == (False, True)
    assert "/proc" in writing.mend


def test_too_little_memory_is_named_with_what_mends_it(monkeypatch):
    monkeypatch.setattr(diagnosis, "free_memory_bytes", lambda: 1_500_000_000)
    assert memory(needed_gb=1, needed_for="here", mend="close something").ok
    found = memory(needed_gb=2, needed_for="here", mend="close something")
    assert (found.ok, found.found, found.mend) == (False, "1.5 GB free here", "close something")


@pytest.mark.parametrize(("required", "code"), [(True, 1), (False, 0)])
def test_only_what_is_required_fails_and_commands_are_never_wrapped(monkeypatch, required, code):
    mend = "pip install " + "x" * 200
    finding = Diagnosis(part="a part", ok=False, found="missing", mend=mend, required=required)
    monkeypatch.setattr(doctor, "examine", lambda **_: [finding])
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == code
    assert f"  a part: {mend}" in done.stdout.splitlines()
