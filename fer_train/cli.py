"""The ``fer-train`` program: options, one library call, print.

Commands import the library inside their bodies, so that ``--help`` does not load torch.
"""

from __future__ import annotations

from typing import Annotated

import typer

from fer_prep.console import FerGroup, console
from fer_train import __version__

app = typer.Typer(
    name="fer-train",
    cls=FerGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Cross-validated training on a fer-rgbd dataset.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"fer-train {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the whole program; commands follow."""


def main() -> None:
    """Entry point of the ``fer-train`` script."""
    app()


# importing a command module registers its commands, in the order in which they are met
from fer_train import train_commands  # noqa: E402, F401, I001
from fer_train import use_commands  # noqa: E402, F401
