"""FACS action units and the policies that turn them into emotion categories.

A policy is a TOML file. ``[[rule]]`` names scan codes by their exact tokens (``LFAU_12`` is not ``LFAU_12L``);
``[[combination]]`` names action units that must occur together in a scan's FACS scores, where scores are known.
Every rule says how strong its evidence is and where it comes from, and both travel into the tables that users see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fer_prep.digests import settings_digest
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import SettingsError
from fer_prep.resources import manifest_file
from fer_prep.validated import read_toml

DEFAULT_POLICY: Final = "thesis-3.8"
STRENGTHS: Final = ("strong", "weak")
_INTENSITIES: Final = "ABCDE"

ACTION_UNITS: Final[Mapping[int, str]] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    11: "nasolabial deepener",
    12: "lip corner puller",
    13: "sharp lip puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    18: "lip pucker",
    19: "tongue show",
    20: "lip stretcher",
    21: "neck tightener",
    22: "lip funneler",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    28: "lip suck",
    29: "jaw thrust",
    31: "jaw clencher",
    32: "lip bite",
    34: "cheek puff",
    38: "nostril dilator",
    39: "nostril compressor",
    41: "lid droop",
    42: "slit",
    43: "eyes closed",
    44: "squint",
    45: "blink",
    46: "wink",
}
"""Action unit → its name in the Facial Action Coding System (Ekman and Friesen 1978). There is no 3."""


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

    tokens: tuple[str, ...]
    emotion: str
    strength: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Action units that must all be scored (on both sides), and how strongly at least and at most."""

    action_units: tuple[int, ...]
    emotion: str
    strength: str
    source: str
    without: tuple[int, ...] = ()
    at_least: str = "A"
    at_most: str = "E"

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
    description: str
    rules: tuple[Rule, ...] = ()
    combinations: tuple[Combination, ...] = ()
    digest: str = field(default="", compare=False)

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


def describe(code: str) -> str:
    """The name of a single action unit's scan code in brackets: ``LFAU_9`` → `` (nose wrinkler)``; else empty."""
    number = code.rpartition("_")[2]
    name = ACTION_UNITS.get(int(number)) if number.isascii() and number.isdigit() else None
    return f" ({name})" if name else ""


def load_policy(name_or_file: str | Path) -> Policy:
    """The policy of that name in ``manifests/policies``, or in that file; raises SettingsError with file and key."""
    given = Path(name_or_file)
    named = given.suffix.lower() != ".toml" and given.name == str(name_or_file)
    path = manifest_file("policies", str(name_or_file)) if named and not given.is_file() else given
    try:
        table = read_toml(path)
    except FileNotFoundError:
        raise SettingsError("no such policy file", path=path) from None
    return _policy(table, path)


def _policy(table: Mapping[str, Any], path: Path) -> Policy:
    unknown = set(table) - {"name", "description", "rule", "combination"}
    if unknown:
        raise SettingsError(f"unknown key {min(unknown)!r}; known: name, description, rule, combination", path=path)
    rules = tuple(Rule(**_entry(entry, Rule, f"rule {n}", path)) for n, entry in _entries(table, "rule", path))
    combinations = tuple(
        Combination(**_entry(entry, Combination, f"combination {n}", path))
        for n, entry in _entries(table, "combination", path)
    )
    if not rules and not combinations:
        raise SettingsError("expected at least one [[rule]] or [[combination]]; found none", path=path)
    taken: dict[str, int] = {}
    for number, rule in enumerate(rules, start=1):
        for token in rule.tokens:
            if taken.setdefault(token, number) != number:
                raise SettingsError(f"{token} stands in rule {taken[token]} and in rule {number}", path=path)
    return Policy(
        name=str(table.get("name", path.stem)),
        description=str(table.get("description", "")),
        rules=rules,
        combinations=combinations,
        digest=settings_digest({"rule": table.get("rule", []), "combination": table.get("combination", [])}),
    )


def _entries(table: Mapping[str, Any], key: str, path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    entries = table.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(f"expected [[{key}]] tables; found {type(entries).__name__}", path=path)
    return list(enumerate(entries, start=1))


def _entry(entry: Mapping[str, Any], kind: type, where: str, path: Path) -> dict[str, Any]:
    """The checked fields of one table, lists as tuples."""
    lists: dict[str, type] = {"tokens": str, "action_units": int, "without": int}
    words = {
        "emotion": EMOTIONS,
        "strength": STRENGTHS,
        "at_least": tuple(_INTENSITIES),
        "at_most": tuple(_INTENSITIES),
    }
    needed = {"tokens" if kind is Rule else "action_units", "emotion", "strength", "source"}
    legal = needed | (set[str]() if kind is Rule else {"without", "at_least", "at_most"})
    if missing := needed - entry.keys():
        raise SettingsError(f"{where}: expected the key {min(missing)!r}; found none", path=path)
    checked: dict[str, Any] = {}
    for key, value in entry.items():
        if key not in legal:
            raise SettingsError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(legal))}", path=path)
        if key in lists:
            if not isinstance(value, list) or not value or not all(type(item) is lists[key] for item in value):
                raise SettingsError(
                    f"{where}: expected {key} as a list of {lists[key].__name__}; found {value!r}", path=path
                )
            checked[key] = tuple(item.upper() for item in value) if lists[key] is str else tuple(value)
        elif key in words and value not in words[key]:
            raise SettingsError(f"{where}: expected {key} of {', '.join(words[key])}; found {value!r}", path=path)
        else:
            checked[key] = value
    return checked
