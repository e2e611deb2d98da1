"""A workspace folder laid out by convention, so that bare commands find everything; ``fer.toml`` in it says otherwise.

::

    workers = 4                  # an option of COMMON: for every command of both programs that has it
    size = 224

    [raw]                        # where a raw tree is, if not in data/raw
    bu3dfe = "/data/BU-3DFE"

    [fer-prep.merge]             # any option of one command
    shard-size = 2000

    [fer-train.kfold]
    preset = "thesis"

The command line comes before the file, the file before the built-in default. Relative paths start where the command
runs, as everywhere. A program checks its own half of the file; the other half is the other program's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from fer_prep.errors import SettingsError, did_you_mean
from fer_prep.validated import read_toml

RAW: Final = Path("data/raw")
PREPARED: Final = Path("data/prepared")
GLOBAL_FILE: Final = Path("global.h5")

RAW_TREES: Final = {"bu3dfe": "BU3DFE", "bosphorus": "BosphorusDB", "cald3r": "CalD3r", "mend3s": "MenD3s"}
"""Dataset → folder name of its raw tree."""

FILE: Final = Path("fer.toml")
PROGRAMS: Final = ("fer-prep", "fer-train")
COMMON: Final = ("workers", "size", "framing", "mask", "max-rejected", "device", "preset")
"""Options that mean the same wherever they are."""
ROOTS: Final = {"render-bu3dfe": "bu3dfe", "render-bosphorus": "bosphorus", "map-aus": "bosphorus"}
"""Command → the dataset whose raw tree its ``--root`` is."""
NOT_SETTABLE: Final = ("help", "json", "trust-pickle")
"""Asked for, not configured: a folder of somebody else's may bring a ``fer.toml``."""


def read_settings() -> dict[str, Any]:
    """The tables of ``fer.toml`` in this folder, empty where there is none; raises SettingsError for a wrong one."""
    try:
        settings = read_toml(FILE)
    except FileNotFoundError:
        return {}
    _refuse_unknown(settings, known=(*COMMON, "raw", *PROGRAMS), where="")
    for program in PROGRAMS:
        _table(settings, program)
    for dataset, place in _table(settings, "raw").items():
        _refuse_unknown([dataset], known=RAW_TREES, where="raw.")
        if not isinstance(place, str):
            raise SettingsError(f"raw.{dataset}: expected the path of a folder in quotes; found {place!r}", path=FILE)
    return settings


def raw_places(raw: Path = RAW) -> dict[str, Path]:
    """Dataset → its raw tree: below ``raw``; where that is the usual place, where ``fer.toml`` says."""
    configured = {name: Path(place).expanduser() for name, place in read_settings().get("raw", {}).items()}
    return {name: raw / folder for name, folder in RAW_TREES.items()} | (configured if raw == RAW else {})


def read_default_map(group: Any, *, program: str) -> dict[str, Any]:
    """Command → parameter → value for Typer's ``default_map``; an option that does not exist is refused.

    ``group`` is the program's command group: whatever has ``commands``, each with ``params``.
    """
    settings = read_settings()
    defaults: dict[str, Any] = {}
    own = settings.get(program, {})
    _refuse_unknown(own, known=group.commands, where=f"{program}.")
    for name, command in group.commands.items():
        options = dict(settable_options(command))
        table = _table(own, name, where=f"{program}.")
        _refuse_unknown(table, known=options, where=f"{program}.{name}.")
        given = {key: settings[key] for key in COMMON if key in settings and key in options}
        if name in ROOTS and ROOTS[name] in settings.get("raw", {}):
            given["root"] = settings["raw"][ROOTS[name]]
        defaults[name] = {options[key]: _usable(value) for key, value in (given | table).items()}
    return defaults


def options_of_step(context: Any, command: str, *, without: Iterable[str] = ()) -> dict[str, Any]:
    """Parameter → value of another command that the one of ``context`` runs as a step of its own.

    The step has the values that it would have if it were called alone in this folder. Before them come those that the
    calling command has under the same name and was given: on the command line, or in its own table of ``fer.toml``.
    """
    root = context.find_root()
    own_table = read_settings().get(root.command.name, {}).get(context.info_name, {})
    own = {name for option, name in settable_options(context.command) if option in own_table}
    step = root.command.commands[command].make_context(command, [], parent=root).params
    taken = (name for name in context.params if name in step and name not in without)
    given = (name for name in taken if name in own or context.get_parameter_source(name).name == "COMMANDLINE")
    return step | {name: context.params[name] for name in given}


def settable_options(command: Any) -> Iterator[tuple[str, str]]:
    """(name in fer.toml, name of the parameter) of a command's options: ``--shard-size`` is ``shard-size``."""
    for parameter in getattr(command, "params", ()):
        names = [text.removeprefix("--") for text in parameter.opts if text.startswith("--")]
        if names and names[0] not in NOT_SETTABLE:
            yield names[0], parameter.name


def _table(settings: Mapping[str, Any], name: str, *, where: str = "") -> dict[str, Any]:
    table: Any = settings.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"expected a table [{where}{name}]; found {table!r}", path=FILE)
    return cast(dict[str, Any], table)


def _usable(value: Any) -> Any:
    """As a shell would have given it: ``~`` is the home folder."""
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


def _refuse_unknown(given: Iterable[str], *, known: Iterable[str] | Mapping[str, Any], where: str) -> None:
    names = list(known)
    for key in given:
        if key not in names:
            raise SettingsError(f"no setting called {where}{key}; {did_you_mean(key, names)}", path=FILE)
