"""Reference page of the training settings, from the dataclasses and the docstring under each of their fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from fer_train.config import Config
from fer_train.settings_file import flatten, load_preset, preset_names


def settings_page() -> str:
    """One table a section: key, type, default, the value of each preset where it differs, meaning."""
    presets = {name: dict(flatten(_as_dict(load_preset(name)))) for name in preset_names()}
    parts = [
        "# Settings of fer-train",
        "A run's settings are a TOML file. A preset is such a file; `--preset FILE` takes one of yours; "
        "`--set SECTION.KEY=VALUE` and the short options (`--epochs`, `--loss` …) go on top; the run folder keeps the "
        "outcome as `config.toml`. An unknown key or a wrong type is an error that names the nearest known one. "
        "Every key but those of `[machine]` must stay the same when a run is resumed.",
        f"Where a preset ({', '.join(f'`{name}`' for name in presets)}) differs from the default, its value stands "
        "below the default.",
    ]
    config = Config()
    for section in fields(Config):
        value = getattr(config, section.name)
        if is_dataclass(value):
            parts.append(_section(section.name, type(value), value, presets))
    return "\n\n".join(parts) + "\n"


def field_docstrings(cls: type) -> dict[str, str]:
    """Field → the string literal under it."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"expected a class, found {cls!r}")
    texts: dict[str, str] = {}
    for node, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            texts[node.target.id] = " ".join(str(below.value.value).split())
    return texts


def _section(name: str, cls: type, defaults: Any, presets: dict[str, dict[str, Any]]) -> str:
    docs, hints = field_docstrings(cls), get_type_hints(cls)
    lines = [f"## [{name}]", "", inspect.getdoc(cls) or "", "", "| key | default | meaning |", "| --- | --- | --- |"]
    for item in fields(cls):
        default = getattr(defaults, item.name)
        values = [f"`{_text(default)}`"]
        values += [
            f"{preset}: `{_text(known[f'{name}.{item.name}'])}`"
            for preset, known in presets.items()
            if known[f"{name}.{item.name}"] != default
        ]
        choices = getattr(hints[item.name], "__args__", ()) if "Literal" in str(hints[item.name]) else ()
        legal = f" One of {', '.join(f'`{_text(choice)}`' for choice in choices)}." if choices else ""
        meaning = docs[item.name].replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{item.name}` | {'<br>'.join(values)} | {meaning}{legal} |")
    return "\n".join(lines)


def _as_dict(config: Config) -> dict[str, Any]:
    return {
        section.name: {item.name: getattr(value, item.name) for item in fields(value)}
        for section in fields(config)
        if is_dataclass(value := getattr(config, section.name)) and not isinstance(value, type)
    }


def _text(value: Any) -> str:
    """As TOML writes it; an empty text is shown as its quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value or '""'
    return str(list(value)) if isinstance(value, tuple) else str(value)
