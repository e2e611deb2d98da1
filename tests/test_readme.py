"""Every command line that the documentation shows is one the programs understand, and every command is documented."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from fer_prep.cli import app as prep_app
from fer_train.cli import app as train_app

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {"fer-prep": get_command(prep_app), "fer-train": get_command(train_app)}
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"])


def shown_commands() -> list[tuple[str, str]]:
    """(page, command line) of each line in a shell block, and of each inline `fer-… …` span."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]
        lines += re.findall(r"`(fer-(?:prep|train) [^`]+)`", text)
        for line in lines:
            line = line.split("  #")[0].split(" #")[0].removeprefix("$ ").strip()
            if line.startswith(("fer-prep", "fer-train", "make ")):
                found.append((page.relative_to(ROOT).as_posix(), line))
    return found


@pytest.mark.parametrize(("page", "line"), shown_commands())
def test_a_shown_command_exists_with_its_options(page, line):
    words = shlex.split(line.replace("…", "").replace("[", "").replace("]", ""))
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
        assert words[1] in targets
        return
    program = PROGRAMS[words[0]]
    names = [word for word in words[1:] if not word.startswith("-")]
    command = program
    while names and hasattr(command, "commands"):
        command = command.commands[names.pop(0)]
    params = (*program.params, *command.params)
    known = {option for param in params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
    assert {word.split("=")[0] for word in words[1:] if word.startswith("--")} <= known


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_every_command_has_help_and_is_in_the_documentation(program):
    everything = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name, command in PROGRAMS[program].commands.items():
        assert command.help, f"{program} {name} has no help"
        assert f"{program} {name}" in everything, f"{program} {name} is not documented"


def test_the_two_set_up_commands_are_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text


def test_ci_runs_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
