"""A dataclass says once what an option is: its fields are options of the commands that take it, with its own words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from fer_prep.cli.app import app as prep
from fer_prep.cli.options import Options
from fer_prep.options import field_help, option
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sources.options import BosphorusOptions, Bu3dfeOptions, RgbdOptions, TableOptions


def halves(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Something to be drawn."""

    kind: Literal["square", "circle"] = "square"
    """What it is; ``circle`` is round."""
    side: int = option(3, min=1, name="--side-px")
    """How large."""
    parts: tuple[str, ...] = option(("a",), parse=halves, show_default="one")
    """Texts with bars between."""
    seed: int = 0
    """Of the colours."""
    hidden: int = option(7, offered=False)
    """No option."""


BIG = Shape(side=9)


@pytest.fixture
def drawn():
    """A program of one command, and what its function was called with."""
    app, called = typer.Typer(), []

    @app.command()
    @Options
    def draw(*, shape: Shape, other: int = 1, seed: int | None = None) -> None:
        called.append((shape, other, seed))

    @app.command()
    @Options
    def large(*, shape: Shape = BIG) -> None:
        called.append(shape)

    def run(*words, code=0):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == code, done.output
        return called[-1] if called else done.output

    return run


def test_what_is_not_given_has_the_default_of_the_field(drawn):
    assert drawn("draw") == (Shape(), 1, None)


def test_values_are_typed_parsed_and_named_as_the_field_says(drawn):
    shape, other, _ = drawn("draw", "--kind", "circle", "--side-px", "5", "--parts", "x|y", "--other", "2")
    assert (shape, other) == (Shape(kind="circle", side=5, parts=("x", "y")), 2)


def test_a_command_may_have_other_defaults(drawn):
    assert drawn("large") == BIG
    assert drawn("large", "--kind", "circle") == Shape(kind="circle", side=9)


def test_a_parameter_of_the_command_serves_the_field_of_its_name(drawn):
    shape, _, seed = drawn("draw", "--seed", "4")
    assert (shape.seed, seed) == (4, 4)


@pytest.mark.parametrize("words", [["--side-px", "0"], ["--kind", "oval"], ["--hidden", "1"]])
def test_what_the_field_does_not_allow_is_wrong_usage(words, drawn):
    drawn("draw", *words, code=2)


def test_the_help_is_the_docstring_of_the_field(drawn, monkeypatch):
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    said = drawn("draw", "--help")
    assert "What it is; circle is round." in said
    assert "default: (one)" in said


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        ("render-bu3dfe", (PrepareSettings, Bu3dfeOptions)),
        ("render-bosphorus", (PrepareSettings, BosphorusOptions)),
        ("align", (PrepareSettings, RgbdOptions)),
        ("import", (PrepareSettings, TableOptions)),
        ("all", (PrepareSettings,)),
    ],
)
def test_every_setting_is_an_option_of_its_command_with_its_own_words(command, kinds):
    options = {param.name: param for param in get_command(prep).commands[command].params}
    for kind in kinds:
        for name, text in field_help(kind).items():
            assert text, f"{kind.__name__}.{name} has no docstring"
            if not next(item for item in fields(kind) if item.name == name).metadata.get("offered", True):
                continue
            assert options[name].help.replace("[b]", "").replace("[/]", "") == text.replace("``", "")
