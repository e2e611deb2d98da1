"""What is the same in all commands: JSON where output is data, quiet and verbose, completion, version, help."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from dataset_factories import make_rows, write_global, write_prepared
from raw_trees import write_bosphorus
from typer.main import get_command
from typer.testing import CliRunner

from fer_prep.cli.app import app as prep
from fer_train.cli.app import app as train

PROGRAMS = {"fer-prep": prep, "fer-train": train}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    write_global(folder / "global.h5", make_rows({"bu3dfe": 4, "cald3r": 2}))
    write_bosphorus(folder / "scans", "bs000_N_N_0", "bs000_LFAU_12_0")
    return folder


@pytest.mark.parametrize(
    ("program", "command", "look"),
    [
        (prep, "check global.h5", lambda found: found["failed"] is False and found["findings"]),
        (prep, "stats", lambda found: found["counts"]["dataset"]["cald3r"]["anger"] == 2),
        (prep, "stats", lambda found: {"subjects", "measures", "outliers"} <= set(found)),
        (
            prep,
            "folds --folds 3 --out f.json",
            lambda found: [fold["on both sides"] for fold in found["folds"]] == [0] * 3,
        ),
        (prep, "folds --list", lambda found: "thesis-5fold" in {protocol["name"] for protocol in found}),
        (
            prep,
            "map-aus --root scans",
            lambda found: {scan["category"] for scan in found["scans"]} == {"neutral", "happiness"},
        ),
        (prep, "config show", lambda found: found[0]["setting"] == "raw.bu3dfe"),
        (train, "presets", lambda found: found["demo"]["model"]["backbone"]),
        (train, "presets demo", lambda found: list(found) == ["demo"]),
        (train, "config show kfold", lambda found: found[0]["from"] == "default"),
    ],
)
def test_json_is_all_there_is_on_standard_output(program, command, look, workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    done = CliRunner().invoke(program, [*command.split(), "--json"])
    assert done.exit_code == 0, done.stderr
    assert look(json.loads(done.stdout))


def test_a_failed_check_is_code_1_in_json_too(workspace, tmp_path):
    (tmp_path / "bad.h5").write_text("x")
    done = CliRunner().invoke(prep, ["check", str(tmp_path / "bad.h5"), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"] is True


@pytest.mark.parametrize(("words", "lines"), [(["--quiet"], 0), ([], 0), (["--verbose"], 1)])
def test_progress_without_a_terminal_is_said_with_verbose_only(words, lines, workspace, tmp_path):
    write_prepared(tmp_path / "ready", make_rows({"bu3dfe": 5}))
    done = CliRunner().invoke(prep, ["merge", str(tmp_path / "ready"), "--out", str(tmp_path / "a.h5"), *words])
    assert done.exit_code == 0, done.stderr
    assert ("35 of 35 samples" in done.stderr) is bool(lines)


def test_notes_fall_silent_with_quiet_warnings_do_not(tmp_path):
    write_prepared(tmp_path / "ready", make_rows({"bu3dfe": 2}))
    words = ["merge", str(tmp_path / "ready"), "--out", str(tmp_path / "a.h5"), "--quiet"]
    done = CliRunner().invoke(prep, words)
    assert "warning: no fold manifest" in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for(program, shell, tmp_path):
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    run = [sys.executable, "-c", f"from {program.replace('-', '_')}.__main__ import main; main()"]
    environment = {**os.environ, "HOME": str(tmp_path), variable: f"source_{shell}"}
    script = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    assert variable in script
    assert program in script


@pytest.mark.parametrize("program", PROGRAMS)
def test_version(program):
    done = CliRunner().invoke(PROGRAMS[program], ["--version"])
    assert (done.exit_code, done.stdout.split()[0]) == (0, program)


def every_command():
    for program, app in PROGRAMS.items():
        for name, command in get_command(app).commands.items():
            yield program, name, command


@pytest.mark.parametrize(("program", "name", "command"), list(every_command()), ids=lambda value: str(value)[:30])
def test_every_help_has_an_example_and_fits_80_columns(program, name, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    words = [name, "show"] if name == "config" else [name]
    text = CliRunner().invoke(PROGRAMS[program], [*words, "--help"]).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert text.count(f"{program} {name}") >= 2, "the usage line, and an example"
    assert "<bool>" not in text, "a flag takes no value"


@pytest.mark.parametrize("words", [["--help"], ["config", "--help"], ["config", "show", "--help"]])
@pytest.mark.parametrize("program", PROGRAMS)
def test_flags_show_no_value_in_the_help_of_programs_and_groups(program, words):
    text = CliRunner().invoke(PROGRAMS[program], words).stdout
    assert "--help" in text
    assert "<bool>" not in text
