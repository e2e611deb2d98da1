"""Command groups whose help shows no type behind a flag: ``--quiet <bool>`` would read as if a value had to follow."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup, TyperOption


class PlainGroup(TyperGroup):
    """A group that takes the types of flags out of its own help and out of that of its commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of the group itself."""
        return _with_bare_flags(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of the commands; its ``--help`` is made on demand, which is why it is asked for here."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _with_bare_flags(command.get_params(ctx))
        return command


def _with_bare_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_bool_flag and param.metavar is None:
            param.metavar = ""
    return params
