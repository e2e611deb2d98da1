"""``config show`` of both programs: every option with its value and where the value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from fer_prep.cli.console import console, print_json, print_table
from fer_prep.cli.options import JsonOption
from fer_prep.cli.program import PlainGroup
from fer_prep.cli.workspace import COMMON, FILE, raw_places, read_default_map, read_settings, settable_options
from fer_prep.errors import UsageError, did_you_mean

Row = dict[str, Any]


def add_config_command(app: typer.Typer, *, example: str) -> None:
    """Register ``config show`` on a program; ``example`` is one of its commands."""
    program = app.info.name or ""
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
        as_json: JsonOption = False,
    ) -> None:
        group: Any = context.find_root().command
        if command and command not in group.commands:
            raise UsageError(f"no command called {command!r}; {did_you_mean(command, group.commands)}")
        rows = [row for name in ([command] if command else group.commands) for row in _rows_of(group, program, name)]
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

    [dim]{program} config show {example} --json[/]
    """
    config.command("show")(show)


def _command_names(context: typer.Context, incomplete: str) -> list[str]:
    """The commands of the program that is being completed."""
    group: Any = context.find_root().command
    return [name for name in group.commands if name.startswith(incomplete)]


def _place_rows() -> Iterator[Row]:
    configured = read_settings().get("raw", {})
    for dataset, place in raw_places().items():
        said = str(place) if place.is_dir() else f"{place} (not there)"
        source = f"{FILE} [raw]" if dataset in configured else "default"
        yield {"setting": f"raw.{dataset}", "value": said, "from": source}


def _rows_of(group: Any, program: str, name: str) -> Iterator[Row]:
    """Every settable option of one command."""
    command, table = group.commands[name], read_settings().get(program, {}).get(name, {})
    set_here = read_default_map(group, program=program)[name]
    defaults = {parameter.name: _default_of(parameter) for parameter in getattr(command, "params", ())}
    for option, parameter in settable_options(command):
        section = f" [{program}.{name}]" if option in table else " [raw]" if option not in COMMON else ""
        source = f"{FILE}{section}" if parameter in set_here else "default"
        yield {"setting": f"{name} --{option}", "value": set_here.get(parameter, defaults[parameter]), "from": source}


def _default_of(parameter: Any) -> Any:
    """The built-in default; where it is worked out at run time, the words of the help."""
    shown = parameter.show_default
    return shown if isinstance(shown, str) else "" if parameter.default is None else parameter.default
