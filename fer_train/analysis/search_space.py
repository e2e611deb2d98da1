"""What a search may vary: settings and the values they may take, as typed on the command line.

==========================================  ====================================================
``optimiser.fusion_rate=log:1e-4..1e-2``    any number between, evenly in its logarithm
``model.dropout=0.0..0.5``                  any number between
``model.encoder_depth=1..6``                any whole number between, ends included
``loss.name=center,island``                 one of these
==========================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from fer_prep.errors import UsageError
from fer_train.config import Config
from fer_train.settings_file import override, parse_assignment

if TYPE_CHECKING:
    from optuna import Trial

FIXED_SECTIONS: Final = ("data", "machine", "name")
"""The dataset is read once for all trials, and a machine's settings change no result."""


@final
@dataclass(frozen=True, kw_only=True)
class Range:
    """All numbers from ``low`` to ``high``, both ends included; whole numbers where both are whole."""

    low: float | int
    high: float | int
    log: bool = False

    def suggest(self, trial: Trial, name: str) -> float | int:
        """One of them."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    @property
    def examples(self) -> Sequence[Any]:
        """Values with which a setting must agree."""
        return (self.low, self.high)

    def __str__(self) -> str:
        return f"{'log:' if self.log else ''}{self.low}..{self.high}"


@final
@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Trial, name: str) -> Any:
        """One of them."""
        return trial.suggest_categorical(name, self.values)

    @property
    def examples(self) -> Sequence[Any]:
        """Values with which a setting must agree."""
        return self.values

    def __str__(self) -> str:
        return ",".join(str(value) for value in self.values)


Space = Mapping[str, Range | Choice]
"""``section.key`` → what it may be."""

DEFAULT_SPACE: Final[Space] = {
    "optimiser.backbone_rate": Range(low=1e-5, high=1e-3, log=True),
    "optimiser.fusion_rate": Range(low=1e-4, high=1e-2, log=True),
    "optimiser.weight_decay": Range(low=1e-3, high=0.3, log=True),
    "model.dropout": Range(low=0.0, high=0.5),
}


def parse_space(texts: Sequence[str], *, config: Config) -> Space:
    """Read the command line's form; every value must be one that the setting can take."""
    space = dict(_parse(text) for text in texts) if texts else DEFAULT_SPACE
    for key, values in space.items():
        if key.split(".")[0] in FIXED_SECTIONS:
            raise UsageError(f"{key} cannot be searched: it must be the same for all trials", hint="use --set")
        for value in values.examples:
            override(config, {key: value})
    return space


def _parse(text: str) -> tuple[str, Range | Choice]:
    key, separator, written = (part.strip() for part in text.partition("="))
    if not separator or not written:
        raise UsageError(f"--search {text!r}: expected KEY=LOW..HIGH, KEY=log:LOW..HIGH or KEY=A,B,…")
    log = written.startswith("log:")
    low, dots, high = written.removeprefix("log:").partition("..")
    if not dots:
        return key, Choice(values=tuple(_value(part) for part in written.split(",")))
    ends = _value(low), _value(high)
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise UsageError(f"--search {text!r}: expected numbers at both ends")
    if not ends[0] < ends[1] or (log and ends[0] <= 0):
        raise UsageError(f"--search {text!r}: expected LOW < HIGH, and above 0 with log:")
    return key, Range(low=ends[0], high=ends[1], log=log)


def _value(text: str) -> Any:
    """As ``--set`` reads values."""
    return parse_assignment(f"value={text.strip()}")[1]
