"""JSON Schemas of the files that both programs read, from the classes that check them: ``make schemas``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from fer_prep.action_units import Policy
from fer_prep.cli.app import app as prep
from fer_prep.cli.workspace import COMMON, RAW_TREES, settable_options
from fer_prep.dataset_manifest import DatasetManifest
from fer_prep.folds.manifest import FoldManifest
from fer_prep.folds.protocols import FoldProtocol
from fer_prep.folds.splits import FORMAT as FOLDS_FORMAT
from fer_prep.folds.splits import VERSION as FOLDS_VERSION
from fer_prep.options import field_help
from fer_prep.prepare.folder import FORMAT, FORMAT_VERSION, Summary
from fer_train.analysis.experiment import Experiment
from fer_train.cli.app import app as train
from fer_train.config import Config
from fer_train.models.model_file import StoredDescription

PUBLISHED: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "schemas"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file and the class that it becomes."""

    title: str
    checked_as: type
    marks: dict[str, Any] | None = None
    """What every such file says of itself; such a file may say more than the class asks for."""
    leaves_out: tuple[str, ...] = ()
    """What the class needs and a file need not say."""


KINDS: Final = {
    "prepared": Kind(
        title="prepared.json of a prepared folder",
        checked_as=Summary,
        marks={"format": FORMAT, "format_version": FORMAT_VERSION},
    ),
    "folds": Kind(
        title="Fold manifest", checked_as=FoldManifest, marks={"format": FOLDS_FORMAT, "version": FOLDS_VERSION}
    ),
    "protocol": Kind(title="Fold protocol", checked_as=FoldProtocol, leaves_out=("name",)),
    "policy": Kind(title="Policy: which action unit is which emotion", checked_as=Policy, leaves_out=("name",)),
    "dataset": Kind(title="Manifest of a raw dataset", checked_as=DatasetManifest),
    "experiment": Kind(title="Experiment of fer-train reproduce", checked_as=Experiment, leaves_out=("name",)),
    "model": Kind(title="config.json beside the weights of a trained fold", checked_as=StoredDescription),
    "preset": Kind(title="Settings of a training: a preset, or config.toml of a run", checked_as=Config),
}


def schemas() -> dict[str, str]:
    """File name → text."""
    made = {name: _of_class(kind) for name, kind in KINDS.items()} | {"fer-toml": _of_commands()}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in made.items()
    }


class _WithHelp(GenerateJsonSchema):
    """What the docstring under a field says is its description; there are no other keys than the fields."""

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> dict[str, Any]:
        made = super().dataclass_schema(schema)
        for name, text in field_help(schema["cls"]).items():
            if text and name in made["properties"]:
                made["properties"][name]["description"] = text.replace("``", "`")
        made.pop("title", None)
        return made | {"additionalProperties": False}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _of_class(kind: Kind) -> dict[str, Any]:
    made = TypeAdapter(kind.checked_as).json_schema(schema_generator=_WithHelp)
    required = [name for name in made.get("required", []) if name not in kind.leaves_out]
    if kind.marks is not None:
        made["properties"] = {name: {"const": value} for name, value in kind.marks.items()} | made["properties"]
        required = [*kind.marks, *required]
        for part in (made, *made.get("$defs", {}).values()):
            part.pop("additionalProperties", None)
    return _head(kind.title) | made | {"required": required}


def _head(title: str) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}


def _of_commands() -> dict[str, Any]:
    """fer.toml: every option of every command of both programs, and those that both have alike."""
    programs = {app.info.name or "": typer.main.get_command(app) for app in (prep, train)}
    tables: dict[str, Any] = {}
    for program, group in programs.items():
        tables[program] = _table({name: _table(dict(_options(command))) for name, command in group.commands.items()})
    of_commands = [table["properties"] for of in tables.values() for table in of["properties"].values()]
    common: dict[str, Any] = {}
    for name in COMMON:
        kinds = [
            {key: value for key, value in of[name].items() if key != "description"} for of in of_commands if name in of
        ]
        either = [kind for place, kind in enumerate(kinds) if kind not in kinds[:place]]
        common[name] = {"anyOf": either, "description": "For every command that has it."}
    raw = {
        name: {"type": "string", "description": f"Where the raw tree is, if not in data/raw/{folder}."}
        for name, folder in RAW_TREES.items()
    }
    return _head("fer.toml in a workspace") | _table({**common, "raw": _table(raw), **tables})


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _options(command: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    by_parameter = {parameter.name: parameter for parameter in getattr(command, "params", ())}
    for name, parameter in settable_options(command):
        option = by_parameter[parameter]
        kind = _type(option)
        text = " ".join(re.sub(r"\[/?\w*\]", "", getattr(option, "help", "") or "").replace("\\[", "[").split())
        yield name, (kind | {"description": text} if text else kind)


def _type(option: Any) -> dict[str, Any]:
    """What TOML may give an option."""
    made = TypeAdapter(option.type_descriptor.annotation).json_schema()
    kind = next((part for part in made.get("anyOf", []) if part != {"type": "null"}), made)
    if kind == {"type": "string"} or "format" in kind:
        kind = {"type": ["string", "number"]}  # a number serves as text, as on a command line
    limits = {"minimum": option.min, "maximum": option.max}
    return kind | {name: limit for name, limit in limits.items() if limit is not None}


def main() -> None:
    """Write all of them."""
    PUBLISHED.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (PUBLISHED / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
