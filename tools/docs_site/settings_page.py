"""Reference page of the training settings, from the dataclasses and the docstring under each of their fields."""

from __future__ import annotations

import inspect
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_type_hints

from fer_prep.options import field_help
from fer_prep.validated import flatten
from fer_train.config import Config
from fer_train.settings_file import load_preset, preset_names


def settings_page() -> str:
    """One table a section: key, type, default, the value of each preset where it differs, meaning."""
    presets = {name: dict(flatten(asdict(load_preset(name)))) for name in preset_names()}
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


def _section(name: str, cls: type, defaults: Any, presets: dict[str, dict[str, Any]]) -> str:
    docs, hints = field_help(cls), get_type_hints(cls)
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


def _text(value: Any) -> str:
    """As TOML writes it; an empty text is shown as its quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value or '""'
    return str(list(value)) if isinstance(value, tuple) else str(value)
