"""Commands whose parameters are dataclasses of options: every field becomes an option of the command line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from typing import Annotated, Any, Final, final, get_type_hints

import typer
from rich.markup import escape

from fer_prep import resources
from fer_prep.cli.console import warn
from fer_prep.errors import UsageError
from fer_prep.options import field_help


@final
class Options:
    """A command for Typer, made of a function.

    A parameter whose type is a dataclass stands for one option a field: its default is the parameter's default, else
    the field's own. A field that is called like a parameter of the function, or like an earlier field, shares that
    one's option.

    >>> @Options
    ... def merge(*, out: Path, selection: Selection) -> None: ...
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.__annotations__: dict[str, Any] = {}
        self._function = function
        parameters = inspect.signature(function, eval_str=True).parameters
        self._groups = {name: p for name, p in parameters.items() if is_dataclass(p.annotation)}
        self._own = set(parameters) - set(self._groups)
        expanded: list[inspect.Parameter] = []
        for name, parameter in parameters.items():
            if name in self._groups:
                there = self._own | {known.name for known in expanded}
                expanded += [_as_parameter(item, parameter) for item in self._items(name) if item.name not in there]
            else:
                expanded.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        self.__signature__ = inspect.Signature(expanded)

    def __call__(self, **values: Any) -> Any:
        """Run the command with the value of every option."""
        return self._function(**self.arguments(values))

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The function's own arguments from the value of every option."""
        arguments = {name: values[name] for name in self._own if name in values}
        return arguments | {name: self._build(name, values) for name in self._groups}

    def _items(self, group: str) -> list[Field[Any]]:
        return [item for item in fields(self._groups[group].annotation) if item.metadata.get("offered", True)]

    def _build(self, group: str, values: Mapping[str, Any]) -> Any:
        """One dataclass; what was not given keeps its default."""
        given: dict[str, Any] = {}
        for item in self._items(group):
            value = values.get(item.name)
            if value is not None:
                parse = item.metadata.get("parse")
                given[item.name] = parse(value) if parse and isinstance(value, str) else value
        parameter = self._groups[group]
        if parameter.default is parameter.empty:
            return parameter.annotation(**given)
        return replace(parameter.default, **given)


def _as_parameter(item: Field[Any], group: inspect.Parameter) -> inspect.Parameter:
    """What Typer makes an option of."""
    how = item.metadata
    annotation, default = get_type_hints(group.annotation)[item.name], item.default
    if item.default_factory is not MISSING:
        default = item.default_factory()
    if group.default is not group.empty:
        default = getattr(group.default, item.name)
    if how.get("parse"):
        shown_by_words = "show_default" in how["more"]
        annotation, default = str | None, None if shown_by_words else str(default)
    more = dict(how.get("more", {}))
    if how.get("names"):
        more["autocompletion"] = names_of(how["names"])
    declared = how.get("name", "").split()
    help = re.sub(r"``(.+?)``", r"[b]\1[/]", escape(field_help(group.annotation)[item.name]))
    return inspect.Parameter(
        item.name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[annotation, typer.Option(*declared, help=help, **more)],
        default=inspect.Parameter.empty if default is MISSING else default,
    )


def names_of(known: Sequence[str] | Callable[[], Sequence[str]]) -> Callable[[str], list[str]]:
    """What the shell offers for a value that may also be something else, such as a file.

    >>> names_of(("rgbd", "rgb", "depth"))("rg")
    ['rgbd', 'rgb']
    """

    def complete(incomplete: str) -> list[str]:
        return [name for name in (known() if callable(known) else known) if name.startswith(incomplete)]

    return complete


def manifest_names(kind: str, *also: str) -> Callable[[str], list[str]]:
    """The TOML files in a folder of ``manifests/``, without their suffix; before them the names in ``also``."""
    return names_of(lambda: [*also, *resources.manifest_names(kind)])


def parse_share(text: Any) -> float:
    """A share from 0 to 1, written as such or in percent.

    >>> parse_share("0.05"), parse_share("5%"), parse_share("2.5 %")
    (0.05, 0.05, 0.025)
    """
    words = str(text).strip()
    try:
        share = float(words.removesuffix("%")) / (100 if words.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        expected = "a share from 0 to 1, such as 0.05, or a percentage such as 5%"
        raise UsageError(f"--max-rejected {text}: expected {expected}")
    return share


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
MaxRejected = Annotated[
    float,
    typer.Option(
        parser=parse_share,
        metavar="SHARE",
        help="How much may be rejected before the exit code is 1: a share from 0 to 1, or a percentage such as 5%.",
    ),
]
ALLOWED_REJECTED: Final = 0.05


def too_many_rejected(what: str, *, rejected: int, total: int, max_rejected: float, of: str = "") -> bool:
    """True where more than the share ``max_rejected`` was rejected, which is said on standard error.

    ``what`` was rejected is plural; ``of`` names the dataset where there may be several.
    """
    if total == 0 or rejected / total <= max_rejected:
        return False
    warn(
        f"{of and of + ': '}{rejected} of {total} {what} rejected ({_percent(rejected / total)}); "
        f"--max-rejected {max_rejected:g} allows {_percent(max_rejected)}"
    )
    return True


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
