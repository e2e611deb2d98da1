"""Reference pages of the two programs, from the programs themselves: every command, argument and option."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from rich.text import Text
from typer.main import get_command

SPECIAL = re.compile(r"([|*\[\]])")
BOUNDS = {
    (True, True): " {low} to {high}",
    (True, False): " from {low}",
    (False, True): " to {high}",
    (False, False): "",
}


def program_page(name: str, app: Any, *, intro: str) -> str:
    """Markdown of one program: its own options, then one section a command, in the order of ``--help``."""
    program = get_command(app)
    commands = leaf_commands(program)
    parts = [
        f"# {name}",
        f"{program.help}",
        intro,
        f"`{name} [options] COMMAND …`",
        *_table(program.params),
        "| command | does |\n| --- | --- |\n"
        + "\n".join(
            f"| [`{command}`](#{command.replace(' ', '-')}) | {_cell(_first(_plain(item.help)))} |"
            for command, item in commands.items()
        ),
        *(_command_section(name, command, item) for command, item in commands.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def leaf_commands(program: Any) -> dict[str, Any]:
    """Every command that can be called, by its whole name (``config show``), in the order of ``--help``."""
    found: dict[str, Any] = {}
    for name, command in program.commands.items():
        if hasattr(command, "commands"):
            found |= {f"{name} {inner}": item for inner, item in leaf_commands(command).items()}
        else:
            found[name] = command
    return found


def undocumented(app: Any) -> list[str]:
    """What lacks help: ``merge`` for a command, ``merge --size`` for an option of it."""
    commands = leaf_commands(get_command(app))
    missing = [name for name, command in commands.items() if not _first(command.help)]
    for name, command in commands.items():
        missing += [f"{name} {_names(param)}" for param in command.params if not getattr(param, "help", None)]
    return missing


def _command_section(program: str, name: str, command: Any) -> str:
    """Heading, usage, text, examples and tables of one command."""
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    shown = " ".join(_argument(param) for param in arguments)
    text, examples = _split_examples(_plain(command.help))
    parts = [
        f"## {name}",
        f"`{' '.join(f'{program} {name} [options] {shown}'.split())}`",
        text,
        *(["```sh\n" + "\n".join(examples) + "\n```"] if examples else []),
        *_table(command.params),
    ]
    return "\n\n".join(part for part in parts if part)


def _split_examples(text: str) -> tuple[str, list[str]]:
    """The help's prose, and the lines of it that are examples."""
    prose: list[str] = []
    examples: list[str] = []
    for line in text.replace("\b", "").splitlines():
        bare = re.sub(r"^Examples?:\s*", "", line.strip())
        if bare.startswith(("fer-prep ", "fer-train ", "torchrun ")):
            examples.append(bare.split("  ")[0])
        elif bare or not line.strip():
            prose.append(bare)
    joined = "\n".join(prose)
    return re.sub(r"\n{3,}", "\n\n", joined).strip(), examples


def _table(params: Iterable[Any]) -> list[str]:
    """One table of arguments and options: name and value, then meaning and default."""
    rows = [f"| {_option_cell(param)} | {_meaning_cell(param)} |" for param in params]
    return ["| | meaning |\n| --- | --- |\n" + "\n".join(rows)] if rows else []


def _option_cell(param: Any) -> str:
    values = _values(param)
    return f"{_code(_names(param))}<br>{_cell(values)}" if values else _code(_names(param))


def _meaning_cell(param: Any) -> str:
    default = _default(param)
    text = _cell(_plain(getattr(param, "help", "")))
    return f"{text} Default: {default}." if default else text + (" Required." if param.required else "")


def _argument(param: Any) -> str:
    name = f"{_names(param)}{' …' if param.nargs == -1 else ''}"
    return name if param.required else f"[{name}]"


def _names(param: Any) -> str:
    """``--out, -o``, ``--prune / --no-prune``, or an argument's name in capitals."""
    if param.param_type_name == "argument":
        return str(param.name).upper()
    names = ", ".join(sorted(param.opts, key=len, reverse=True))
    return f"{names} / {', '.join(param.secondary_opts)}" if param.secondary_opts else names


def _values(param: Any) -> str:
    """What may follow: a placeholder, the choices, or the type."""
    if param.param_type_name == "option" and (param.is_flag or param.count):
        return ""
    kind = param.type_descriptor.annotation
    if get_origin(kind) is Literal:
        return ", ".join(str(choice) for choice in get_args(kind))
    if param.param_type_name == "option" and param.metavar:
        return str(param.metavar)
    word = {int: "number", float: "number", str: "text"}.get(kind, "path")
    return word + BOUNDS[param.min is not None, param.max is not None].format(low=param.min, high=param.max)


def _default(param: Any) -> str:
    """The default as ``--help`` shows it; '' where there is none to speak of."""
    shown = getattr(param, "show_default", None)
    if isinstance(shown, str):
        return _cell(shown)
    default = param.default
    if default is None or default is False or default == () or callable(default) or not _is_plain(default):
        return ""
    return "on" if default is True else _code(str(default))


def _is_plain(value: Any) -> bool:
    return type(value).__module__ in ("builtins", "pathlib", "pathlib._local")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    """Help text as it stands, safe inside a table."""
    pieces = " ".join(text.split()).split("`")
    return "`".join(_escaped(piece) if index % 2 == 0 else piece for index, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    """Markdown of the text as it stands; a backslash before ``<`` would be shown."""
    return SPECIAL.sub(r"\\\1", text.replace("<", "&lt;").replace(">", "&gt;"))


def _plain(text: str | None) -> str:
    """Help text without the marks for bold and dim, as a terminal without colours shows it."""
    return Text.from_markup(text or "").plain


def _first(text: str | None) -> str:
    """The first paragraph."""
    return " ".join((text or "").strip().split("\n\n")[0].split())
