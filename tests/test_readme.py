"""Every command line that the documentation shows is one the programs understand, and every command is documented."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from fer_prep.cli.app import app as prep_app
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.emotions import EMOTIONS
from fer_prep.resources import manifest_file
from fer_prep.sources import make_source
from fer_train.cli.app import app as train_app
from fer_train.settings_file import load_preset

ROOT = Path(__file__).resolve().parents[1]
SIX_UNITS = ("LFAU_24", "LFAU_9", "LFAU_12", "LFAU_15", "UFAU_2", "UFAU_1")
"""Thesis, Table 3.8."""
PROGRAMS = {"fer-prep": get_command(prep_app), "fer-train": get_command(train_app)}
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"])


def shown_commands() -> list[tuple[str, str]]:
    """(page, command line) of each line in a shell block, and of each inline `fer-… …` span."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
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


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readmes_numbers_are_those_of_the_code():
    text, thesis = readme(), load_preset("thesis")
    policy = tomllib.loads(manifest_file("policies", "thesis-3.8").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"steps of {UNIT_MM} mm" in text
    assert "depth unit of CalD3r and MenD3s (1/8 mm)" in text
    assert make_source("cald3r").settings()["depth_unit_mm"] == 1 / 8
    assert sorted(token for rule in policy["rule"] for token in rule["tokens"]) == sorted(SIX_UNITS)
    assert "six action units mapped" in text
    assert f"EfficientNet-B2 at {thesis.data.image_size}²" in text
    assert thesis.model.backbone == "tf_efficientnet_b2"
    assert project["requires-python"] == ">=3.11,<3.13"
    assert "Python 3.11 or 3.12" in text
    assert f"{len(EMOTIONS)} classes" in text


def test_the_readme_says_the_size_that_the_set_up_says():
    size = re.search(r"about (\d+) GB", (ROOT / "tools" / "set_up.py").read_text())
    assert size
    assert f"about {size[1]} GB" in readme()


def test_the_readmes_links_lead_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", readme())
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_demo_runs_the_readmes_steps():
    """``make demo`` is the README's own commands, so that its picture and result come from what a reader types."""
    demo = (ROOT / "tools" / "demo.sh").read_text()
    block = re.search(r"which also work bare.*?```sh\n(.*?)```", readme(), re.S)
    assert block
    for line in block[1].splitlines():
        assert f"step {line.split('#')[0].strip()}\n" in demo
