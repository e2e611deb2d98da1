"""FACS action units and the policies that turn them into emotion categories.

A policy is a TOML file. ``[[rule]]`` names scan codes by their exact tokens (``LFAU_12`` is not ``LFAU_12L``);
``[[combination]]`` names action units that must occur together in a scan's FACS scores, where scores are known.
Every rule says how strong its evidence is and where it comes from, and both travel into the tables that users see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from fer_prep.csv_tables import read_table
from fer_prep.digests import settings_digest
from fer_prep.emotions import Emotion
from fer_prep.errors import SettingsError
from fer_prep.resources import manifest_file
from fer_prep.validated import checked, read_toml

DEFAULT_POLICY: Final = "thesis-3.8"
Strength = Literal["strong", "weak"]
Intensity = Literal["A", "B", "C", "D", "E"]
_Token = Annotated[str, StringConstraints(to_upper=True)]


@cache
def action_unit_names() -> Mapping[int, str]:
    """Action unit → its name in the Facial Action Coding System (Ekman and Friesen 1978). There is no 3."""
    table = read_table(Path(__file__).with_suffix(".csv"))
    return {int(cells["number"]): cells["name"] for _, cells in table.lines}


@dataclass(frozen=True, kw_only=True)
class FacsCode:
    """One action unit as a FACS coder scored it."""

    number: int
    intensity: str = ""
    """``A`` (trace) to ``E`` (maximum); empty where it was not scored."""
    unilateral: bool = False

    def __str__(self) -> str:
        return f"{self.number}{'/one side' if self.unilateral else ''}{self.intensity}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of a policy: a scan whose code is one of ``tokens`` shows ``emotion``."""

    tokens: Annotated[tuple[_Token, ...], Field(min_length=1)]
    """Class and code as in the names of scans, compared whole: ``LFAU_12`` is not ``LFAU_12L``."""
    emotion: Emotion
    strength: Strength
    """How strong the evidence is."""
    source: str
    """Where the rule comes from."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Action units that must all be scored (on both sides), and how strongly at least and at most."""

    action_units: Annotated[tuple[int, ...], Field(min_length=1)]
    emotion: Emotion
    strength: Strength
    """How strong the evidence is."""
    source: str
    """Where the rule comes from."""
    without: tuple[int, ...] = ()
    """Action units that must not be scored."""
    at_least: Intensity = "A"
    at_most: Intensity = "E"

    def holds(self, codes: Sequence[FacsCode]) -> bool:
        """True where the scored codes fulfil this combination; an unscored intensity fulfils any bound."""
        both_sides = {code.number: code.intensity for code in codes if not code.unilateral}
        if any(code.number in self.without for code in codes) or not set(self.action_units) <= both_sides.keys():
            return False
        scored = [both_sides[number] for number in self.action_units]
        return all(not intensity or self.at_least <= intensity <= self.at_most for intensity in scored)

    def __str__(self) -> str:
        return "AU " + "+".join(map(str, self.action_units))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a policy says of one scan: an emotion, or none (``""``) with the reason."""

    emotion: str
    reason: str
    strength: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A set of rules by which action-unit scans get emotion categories."""

    name: str
    """As the tables call it; where the file does not say, the file's name."""
    description: str = ""
    rules: Annotated[tuple[Rule, ...], Field(alias="rule")] = ()
    combinations: Annotated[tuple[Combination, ...], Field(alias="combination")] = ()

    @property
    def digest(self) -> str:
        """Digest of the rules, whatever the policy is called."""
        return settings_digest({"rule": _said(self.rules), "combination": _said(self.combinations)})

    def decide(self, code: str, *, facs_codes: Sequence[FacsCode] | None = None) -> Decision:
        """The category of a scan with this code (``LFAU_12``); ``facs_codes`` are its FACS scores where known.

        Scores say more than the code of the instructed action, so combinations are asked first. Scores that fit two
        different emotions decide nothing.
        """
        fitting = [rule for rule in self.combinations if facs_codes is not None and rule.holds(facs_codes)]
        emotions = {rule.emotion for rule in fitting}
        if len(emotions) > 1:
            return Decision(emotion="", reason=f"its FACS scores fit {' and '.join(sorted(emotions))}")
        if fitting:
            first = fitting[0]
            reason = f"FACS scores hold {first}"
            return Decision(emotion=first.emotion, reason=reason, strength=first.strength, source=first.source)
        for rule in self.rules:
            if code in rule.tokens:
                return Decision(
                    emotion=rule.emotion, reason=f"rule for {code}", strength=rule.strength, source=rule.source
                )
        return Decision(emotion="", reason=f"no rule of {self.name} for {code}{describe(code)}")


def _said(entries: Sequence[Rule | Combination]) -> list[dict[str, Any]]:
    """What a file must say of each."""
    return [
        {item.name: value for item in fields(entry) if (value := getattr(entry, item.name)) != item.default}
        for entry in entries
    ]


def describe(code: str) -> str:
    """The name of a single action unit's scan code in brackets: ``LFAU_9`` → `` (nose wrinkler)``; else empty."""
    number = code.rpartition("_")[2]
    name = action_unit_names().get(int(number)) if number.isascii() and number.isdigit() else None
    return f" ({name})" if name else ""


def load_policy(name_or_file: str | Path) -> Policy:
    """The policy of that name in ``manifests/policies``, or in that file; raises SettingsError with file and key."""
    given = Path(name_or_file)
    named = given.suffix.lower() != ".toml" and given.name == str(name_or_file)
    path = manifest_file("policies", str(name_or_file)) if named and not given.is_file() else given
    try:
        policy = checked(Policy, {"name": path.stem, **read_toml(path)}, path=path)
    except FileNotFoundError:
        raise SettingsError("no such policy file", path=path) from None
    if not policy.rules and not policy.combinations:
        raise SettingsError("expected at least one [[rule]] or [[combination]]; found none", path=path)
    tokens = Counter(token for rule in policy.rules for token in rule.tokens)
    if doubles := [token for token, times in tokens.items() if times > 1]:
        raise SettingsError(f"{doubles[0]} stands in several rules", path=path)
    return policy
