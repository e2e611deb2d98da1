"""How the commands behave: wrong words are refused at once, nothing of a run is overwritten, no secrets are told."""

from __future__ import annotations

import ast
import csv
import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from tiny_training import telling_pixels, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_train.cli.app import app
from fer_train.config import Config
from fer_train.metrics.predictions import Predictions

PACKAGE = Path(__file__).resolve().parents[3] / "fer_train"
COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(run, its data) with networks that have learned nothing."""
    folder = tmp_path_factory.mktemp("manners")
    data = write_telling_data(folder / "global.h5", subjects=4)
    return untrained_run(folder / "runs" / "one", data), data


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None
from typer.testing import CliRunner
from fer_train.cli.app import app
runner = CliRunner()
results = [runner.invoke(app, words) for words in json.loads(sys.argv[1])]
print(json.dumps([[done.exit_code, done.output] for done in results]))
"""


def test_what_needs_no_torch_is_said_before_it_is_loaded(made, tmp_path):
    run, data = made
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    (tmp_path / "runs").mkdir()
    expected = {
        ("kfold", "--data", "nowhere.h5"): "nowhere.h5",
        ("kfold", "--data", "broken.h5"): "broken.h5",
        ("fit", "--data", "nowhere.h5", "--preset", "demo"): "nowhere.h5",
        ("kfold", "--data", data, "--preset", "dmo"): "no preset called 'dmo'",
        ("kfold", "--data", data, "--set", "training.epoch=3"): "training.epochs",
        ("kfold", "--data", data, "--set", "training.epochs=some"): "training.epochs",
        ("kfold", "--data", data, "--preset", "demo", "--out", run.path): "this run was started with other settings",
        ("kfold", "--data", data, "--resume"): "no unfinished run",
        ("tune", "--data", "nowhere.h5"): "nowhere.h5",
        ("tune", "--data", data, "--preset", "demo", "--search", "loss.nam=a,b"): "loss.name",
        ("bench", "--data", "nowhere.h5"): "nowhere.h5",
        ("evaluate", "nowhere", "--data", data): "nowhere",
        ("evaluate", run.path, "--data", "nowhere.h5"): "nowhere.h5",
        ("predict", run.path, "nowhere.png"): "nowhere.png",
        ("predict", "nowhere", data): "nowhere",
        ("predict", run.path, "broken.h5"): "broken.h5",
        ("explain", run.path, "--data", "nowhere.h5"): "nowhere.h5",
        ("explain", "nowhere"): "nowhere",
        ("embed", run.path, "--data", data, "--epochs", "one"): "--epochs",
        ("export", "nowhere"): "nowhere",
        ("compare", run.path): "at least two runs",
        ("reproduce", "table-8.8"): "did you mean",
        ("reproduce", "table-3.5", "--data", "nowhere.h5", "--preset", "demo"): "nowhere.h5",
    }
    words = json.dumps([[str(word) for word in command] for command in expected])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for command, (code, output) in zip(expected, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert expected[command] in output, (command, output)
        assert code == 2, (command, output)


def test_no_command_changes_what_a_run_has(made, tmp_path, monkeypatch):
    run, data = made
    run.figures.mkdir(exist_ok=True)
    for name in ("embedding.png", "embedding.csv", "embedding.json", "grad-cam-right.png"):
        (run.figures / name).write_text("the report's own")
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    for words in (["explain", "--per-class", "1"], ["embed", "--perplexity", "3"]):
        done = invoke(words[0], run.path, "--data", data, "--device", "cpu", *words[1:])
        assert done.exit_code == 0, done.output
    for words in (["predict", run.path, data], ["evaluate", run.path, "--data", data], ["export", run.path]):
        invoke(*words)
    assert {path: path.read_bytes() for path in before} == before
    assert {
        path.relative_to(run.path).parts[0] for path in run.path.rglob("*") if path.is_file() and path not in before
    } == {"studies"}


@pytest.mark.parametrize("command", COMMANDS)
def test_config_show_says_a_word_for_every_option(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = json.loads(invoke("config", "show", command, "--json").stdout)
    assert all(row["value"] not in (None, "None") for row in shown)
    assert "None" not in invoke("config", "show", command).stdout


def test_one_preset_in_fer_toml_is_that_of_every_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("fer.toml").write_text('preset = "thesis"\n')
    shown = {row["setting"]: row["value"] for row in json.loads(invoke("config", "show", "--json").stdout)}
    found = {name: value for name, value in shown.items() if name.endswith("--preset")}
    assert {"kfold --preset", "fit --preset", "tune --preset", "bench --preset", "reproduce --preset"} <= set(found)
    assert set(found.values()) == {"thesis"}


def test_a_name_that_is_a_formula_is_text_in_csv_and_comes_back(tmp_path):
    names = ('=HYPERLINK("http://x")', "@sum", "+1+1", "-2+3", "'=1", "d/plain", "\t=1", "'", "-0.5")
    found = Predictions(
        classes=("=a", "b"),
        ids=names,
        folds=np.zeros(len(names), int),
        labels=np.zeros(len(names), int),
        probabilities=np.full((len(names), 2), 0.5),
    )
    found.write(tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(newline="") as stream:
        cells = [cell for line in csv.reader(stream) for cell in line]
    assert not [cell for cell in cells if cell.lstrip()[:1] in ("=", "@", "+") or cell.startswith("-2")]
    back = Predictions.read(tmp_path / "p.csv")
    assert (back.ids, back.classes) == (found.ids, found.classes)


def test_predict_neutralises_names_of_files(made, tmp_path):
    run = untrained_run(tmp_path / "rgb", made[1], model__inputs="rgb")
    (tmp_path / "pictures").mkdir()
    Image.fromarray(telling_pixels(0, seed=0)[0]).save(tmp_path / "pictures" / "=1+1.png")
    printed = invoke("predict", run.path, tmp_path / "pictures", "--prepared", "--format", "csv").stdout
    assert printed.splitlines()[1].startswith("'=1+1,")


def test_no_name_of_a_host_or_user_is_in_a_run_folder(tmp_path, monkeypatch):
    home = tmp_path / "home" / "alice"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(socket, "gethostname", lambda: "blackbox7")
    data = write_telling_data(home / "global.h5", subjects=4)
    start = untrained_run(home / "start", data, model__encoder_depth=1)
    words = ["fit", "--data", str(data), "--preset", str(start.path / "config.toml"), "--epochs", "1"]
    words += ["--weights", str(start.fold(0)), "--set=model.same_names=strangers", "--out", str(home / "run")]
    monkeypatch.setattr(sys, "argv", ["fer-train", *words])
    (home / "global.folds.json").write_bytes(start.folds_file.read_bytes())
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for path in (home / "run").rglob("*"):
        assert not re.search("alice|blackbox7", path.relative_to(home).as_posix()), path
        if path.is_file():
            assert not re.search(b"alice|blackbox7", path.read_bytes()), path
    assert 'weights = "~/start/fold-0"' in (home / "run" / "config.toml").read_text()


FULL = """
import resource, sys
from pathlib import Path
import torch
from fer_train.training.checkpoint import save_checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(Path(sys.argv[1]), {"weights": torch.zeros(100_000)})
except OSError as error:
    print(error.filename, error.strerror)
"""


def test_a_disk_that_is_full_during_a_checkpoint_is_an_error_of_the_system(tmp_path):
    """Its size is limited here, as by a quota; what stood there before stays."""
    path = tmp_path / "last.ckpt"
    path.write_text("the one before")
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{path} {os.strerror(27)}"
    assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]
    assert path.read_text() == "the one before"


def hints() -> list[str]:
    """Every text of the package that is given as a ``hint``."""
    found: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                words = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
                found.append("".join(word for word in words if isinstance(word, str)))
    return found


def test_every_option_command_and_setting_that_a_hint_names_is_there():
    commands = typer.main.get_command(app).commands
    options = {flag for command in commands.values() for param in command.params for flag in param.opts}
    settings = {f"{section}.{f.name}" for section, f in _settings()}
    assert len(hints()) > 40
    for hint in hints():
        for option in re.findall(r"(?<![\w-])--[a-z-]+", hint):
            assert option in options, hint
        for command in re.findall(r"fer-train ([a-z]+)", hint):
            assert command in commands, hint
        for name in re.findall(r"\b(?:model|loss|training|optimiser|data|machine|augmentation)\.\w+", hint):
            assert name in settings, hint


def _settings():
    for section in dataclasses.fields(Config):
        value = getattr(Config(), section.name)
        if dataclasses.is_dataclass(value):
            yield from ((section.name, f) for f in dataclasses.fields(value))
