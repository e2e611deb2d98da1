"""Further views of a recording: every yaw with every pitch, or some drawn for each recording; the frontal one stays.

Angles are whole degrees, yaw positive to the subject's left, pitch positive upward.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np

from fer_prep.digests import settings_digest
from fer_prep.errors import UsageError
from fer_prep.sample import Listing, Sample, view_suffix

LARGEST_DEGREES: Final = 90
"""Further round than a profile a face scan shows its inside."""
MOST_VIEWS: Final = 500

_FORMS: Final = '"yaw=-30,0,30 pitch=-15,0,15" or "random=8 yaw=-40..40 pitch=-20..20"'
_LIST: Final = re.compile(r"[+-]?\d{1,3}(,[+-]?\d{1,3})*", re.ASCII)
_RANGE: Final = re.compile(r"([+-]?\d{1,3})\.\.([+-]?\d{1,3})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Views:
    """Which views are rendered beside the frontal one."""

    yaws: tuple[int, ...] = (0,)
    pitches: tuple[int, ...] = (0,)
    drawn: int = 0
    """How many of the combinations are drawn for each recording; 0 is all of them."""

    @classmethod
    def parse(cls, text: str) -> Views:
        """From what was typed; empty is the frontal view alone. Raises UsageError for anything that is no such text."""
        words = text.split()
        given: dict[str, str] = {}
        for word in words:
            name, _, given[name] = word.partition("=")
        if len(given) < len(words) or not set(given) <= {"random", "yaw", "pitch"}:
            raise _no_views(text)
        drawn = given.pop("random", None)
        if drawn is not None and not re.fullmatch(r"[1-9]\d{0,3}", drawn, re.ASCII):
            raise _no_views(text)
        of = {name: _angles(value, text) for name, value in given.items()}
        views = cls(yaws=of.get("yaw", (0,)), pitches=of.get("pitch", (0,)), drawn=int(drawn or 0))
        there_are = len(set(product(views.yaws, views.pitches)) - {(0, 0)})
        if views.drawn > there_are:
            raise UsageError(f"--views {text!r}: {drawn} views are to be drawn of {there_are} in these ranges")
        if (count := views.drawn or there_are) > MOST_VIEWS:
            raise UsageError(f"--views {text!r}: {count} views of every recording; at most {MOST_VIEWS}")
        return views

    def of(self, sample_id: str, *, seed: int) -> list[tuple[int, int]]:
        """(yaw, pitch) of every view but the frontal one, ascending; the same for the same id and seed."""
        turned = sorted(set(product(self.yaws, self.pitches)) - {(0, 0)})
        if not self.drawn:
            return turned
        key = int(settings_digest({"id": sample_id, "seed": seed})[:16], 16)
        chosen = np.random.default_rng(key).choice(len(turned), self.drawn, replace=False)
        return [turned[k] for k in sorted(chosen.tolist())]


def with_views(listing: Listing, *, views: Views, seed: int) -> Listing:
    """Every sample, and after it its further views; their ids end with the angles."""
    if views == Views():
        return listing

    def all_of(sample: Sample) -> Iterator[Sample]:
        yield sample
        for yaw, pitch in views.of(sample.id, seed=seed):
            name = sample.id + view_suffix(yaw, pitch)
            yield replace(sample, id=name, yaw_degrees=yaw, pitch_degrees=pitch)

    return replace(listing, samples=tuple(view for sample in listing.samples for view in all_of(sample)))


def _angles(value: str, text: str) -> tuple[int, ...]:
    """Degrees with commas between, or all from one to another."""
    degrees: tuple[int, ...] = ()
    if match := _RANGE.fullmatch(value):
        degrees = tuple(range(int(match[1]), int(match[2]) + 1))
    elif _LIST.fullmatch(value):
        degrees = tuple(int(word) for word in value.split(","))
    if not degrees:
        raise _no_views(text)
    if max(map(abs, degrees)) > LARGEST_DEGREES:
        raise UsageError(f"--views {text!r}: expected angles of at most {LARGEST_DEGREES}°")
    return degrees


def _no_views(text: str) -> UsageError:
    return UsageError(f"--views {text!r}: expected whole degrees, such as {_FORMS}")
