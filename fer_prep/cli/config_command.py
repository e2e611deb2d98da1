"""``config show`` of both programs: every option with its value and where the value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_prep.cli.console import console, print_json
from fer_prep.cli.plain_group import PlainGroup
from fer_prep.cli.tables import print_table
from fer_prep.cli.workspace import RAW_TREES
from fer_prep.cli.workspace_settings import (
    COMMON,
    FILE,
    configured_trees,
    raw_tree,
    read_default_map,
    read_settings,
    settable_options,
)
from fer_prep.errors import UsageError, did_you_mean


def add_config_command(app: typer.Typer, *, program: str) -> None:
    """Register ``config show`` on a program."""
    config = typer.Typer(cls=PlainGroup, no_args_is_help=True, help="What fer.toml in this folder changes.")
    app.add_typer(config, name="config", rich_help_panel="Workspace")

    def show(
        context: typer.Context,
        command: Annotated[
            str,
            typer.Argument(
                autocompletion=_command_names, help="All options of this command.", show_default="what is set"
            ),
        ] = "",
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    ) -> None:
        group: Any = context.find_root().command
        if command and command not in group.commands:
            raise UsageError(f"no command called {command!r}; {did_you_mean(command, group.commands)}")
        rows = list(_option_rows(group, program=program, only=command))
        if not command:
            rows = [*_place_rows(), *(row for row in rows if row["from"] != "default")]
        if as_json:
            print_json(rows)
            return
        found = "is here" if FILE.is_file() else "is not here: everything has its default"
        print_table(f"{FILE} {found}", ("setting", "value", "from"), [tuple(row.values()) for row in rows])
        if not command:
            console.print(f"All options of a command: [bold]{program} config show COMMAND[/]", soft_wrap=True)

    show.__doc__ = f"""Show where raw trees are looked for and which options fer.toml sets, or all options of a command.

    The command line comes before fer.toml, fer.toml before the default.

    [dim]{program} config show[/]

    [dim]{program} config show {"merge" if program == "fer-prep" else "kfold"} --json[/]
    """
    config.command("show")(show)


def _command_names(context: typer.Context, incomplete: str) -> list[str]:
    """The commands of the program that is being completed."""
    group: Any = context.find_root().command
    return [name for name in group.commands if name.startswith(incomplete)]


def _place_rows() -> Iterator[dict[str, Any]]:
    configured = configured_trees()
    for dataset in RAW_TREES:
        place = raw_tree(dataset)
        said = str(place) if place.is_dir() else f"{place} (not there)"
        yield _row(f"raw.{dataset}", said, f"{FILE} [raw]" if dataset in configured else "default")


def _option_rows(group: Any, *, program: str, only: str) -> Iterator[dict[str, Any]]:
    """Every settable option of the commands, or of one."""
    settings, defaults = read_settings(), read_default_map(group, program=program)
    for name, command in group.commands.items():
        if only and name != only:
            continue
        table = settings.get(program, {}).get(name, {})
        by_name = {parameter.name: parameter for parameter in getattr(command, "params", ())}
        for option, parameter in settable_options(command):
            if parameter in defaults[name]:
                section = f"[{program}.{name}]" if option in table else "[raw]" if option not in COMMON else ""
                yield _row(f"{name} --{option}", defaults[name][parameter], f"{FILE} {section}".strip())
            else:
                yield _row(f"{name} --{option}", _default_of(by_name[parameter]), "default")


def _default_of(parameter: Any) -> Any:
    """The built-in default; where it is worked out at run time, the words of the help."""
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    return parameter.default


def _row(setting: str, value: Any, source: str) -> dict[str, Any]:
    return {"setting": setting, "value": str(value) if isinstance(value, Path) else value, "from": source}
