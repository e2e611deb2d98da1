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
from typing import Any, Final, cast

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from fer_prep.errors import UsageError
from fer_train.config import Config
from fer_train.settings_file import override, parse_assignment

FIXED_SECTIONS: Final = ("data", "machine", "name")
"""The dataset is read once for all trials, and a machine's settings change no result."""


Space = Mapping[str, BaseDistribution]
"""``section.key`` → what it may be."""

DEFAULT_SPACE: Final[Space] = {
    "optimiser.backbone_rate": FloatDistribution(1e-5, 1e-3, log=True),
    "optimiser.fusion_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "optimiser.weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    "model.dropout": FloatDistribution(0.0, 0.5),
}


def parse_space(texts: Sequence[str], *, config: Config) -> Space:
    """Read the command line's form; every value must be one that the setting can take."""
    space = dict(_parse(text) for text in texts) if texts else DEFAULT_SPACE
    for key, values in space.items():
        if key.split(".")[0] in FIXED_SECTIONS:
            raise UsageError(f"{key} cannot be searched: it must be the same for all trials", hint="use --set")
        for value in _examples(values):
            override(config, {key: value})
    return space


def suggest(trial: Trial, key: str, values: BaseDistribution) -> Any:
    """One of the values, by the sampler of the trial's study."""
    match values:
        case IntDistribution():
            return trial.suggest_int(key, values.low, values.high, log=values.log)
        case FloatDistribution():
            return trial.suggest_float(key, values.low, values.high, log=values.log)
        case _:
            return trial.suggest_categorical(key, _examples(values))


def _examples(values: BaseDistribution) -> Sequence[Any]:
    """The choices, or the ends of a range."""
    if isinstance(values, IntDistribution | FloatDistribution):
        return values.low, values.high
    return cast(CategoricalDistribution, values).choices


def _parse(text: str) -> tuple[str, BaseDistribution]:
    key, separator, written = (part.strip() for part in text.partition("="))
    if not separator or not written:
        raise UsageError(f"--search {text!r}: expected KEY=LOW..HIGH, KEY=log:LOW..HIGH or KEY=A,B,…")
    log = written.startswith("log:")
    low, dots, high = written.removeprefix("log:").partition("..")
    if not dots:
        return key, CategoricalDistribution([_value(part) for part in written.split(",")])
    ends = _value(low), _value(high)
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise UsageError(f"--search {text!r}: expected numbers at both ends")
    if not ends[0] < ends[1] or (log and ends[0] <= 0):
        raise UsageError(f"--search {text!r}: expected LOW < HIGH, and above 0 with log:")
    kind = IntDistribution if all(isinstance(end, int) for end in ends) else FloatDistribution
    return key, kind(*ends, log=log)


def _value(text: str) -> Any:
    """As ``--set`` reads values."""
    return parse_assignment(f"value={text.strip()}")[1]
