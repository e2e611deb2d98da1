"""Which samples of a table take part: by class, dataset, intensity, label source, and in what numbers.

The same options work when merging and when making folds, and what was chosen is recorded in the file it shaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_prep.emotions import CLASS_SETS, EIGHT, LABEL_SOURCES
from fer_prep.errors import UsageError
from fer_prep.options import option
from fer_prep.resources import manifest_names
from fer_prep.validated import checked

SELECTING_COLUMNS = ("id", "subject", "dataset", "intensity", "label_source")


def parse_classes(text: str) -> tuple[str, ...]:
    """``--classes``: a class-set name, or emotion names with commas between.

    >>> parse_classes("happiness,anger")
    ('anger', 'happiness')
    """
    if text in CLASS_SETS:
        return CLASS_SETS[text]
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) < 2:
        expected = f"{', '.join(CLASS_SETS)}, or at least two classes with commas between"
        raise UsageError(f"--classes {text!r}: expected {expected}")
    return tuple(name for name in EIGHT if name in names) + tuple(name for name in names if name not in EIGHT)


def parse_intensity(text: str) -> tuple[int, int]:
    """``--intensity``: one level or a range.

    >>> parse_intensity("3-4")
    (3, 4)
    """
    low, _, high = text.partition("-")
    if not (low.strip().isdigit() and (high or low).strip().isdigit()):
        raise UsageError(f"--intensity {text!r}: expected a level such as 4 or a range such as 3-4")
    return int(low), int(high or low)


def parse_neutrals(text: str) -> dict[str, int]:
    """``--neutrals-per-subject``: a number for all datasets, or ``dataset=number`` with commas between.

    >>> parse_neutrals("bosphorus=1")
    {'bosphorus': 1}
    """
    limits: dict[str, int] = {}
    for part in text.split(","):
        dataset, _, number = part.rpartition("=")
        if not number.strip().isdigit():
            raise UsageError(f"--neutrals-per-subject {text!r}: expected a number, or dataset=number")
        limits[dataset.strip() or "*"] = int(number)
    return limits


def parse_names(text: str) -> tuple[str, ...]:
    """Names with commas between.

    >>> parse_names("bu3dfe, cald3r")
    ('bu3dfe', 'cald3r')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A choice of samples; the default takes all. Numbers are drawn with ``seed``, from ids in sorted order."""

    classes: tuple[str, ...] = option((), parse=parse_classes, names=tuple(CLASS_SETS), show_default="all")
    """``seven``, ``six-without-surprise``, ``six-without-neutral``, ``eight``, or classes with commas."""
    datasets: tuple[str, ...] = option((), parse=parse_names, names=partial(manifest_names, ""), show_default="all")
    """Only these datasets, with commas."""
    intensity: tuple[int, int] | None = option(None, parse=parse_intensity, show_default="all")
    """Only these intensities, e.g. ``3-4``; samples without one (neutral, other datasets) stay."""
    label_sources: tuple[str, ...] = option(
        (), name="--label-source", parse=parse_names, names=LABEL_SOURCES, show_default="all"
    )
    """Only labels that are ``posed``, ``elicited``, ``action-unit``."""
    max_per_class: int = option(0, min=0)
    """Draw at most so many samples of each class; 0: all."""
    neutrals_per_subject: Mapping[str, int] = option(factory=dict[str, int], parse=parse_neutrals, show_default="all")
    """Neutral samples of each subject to keep, the first by id: ``2``, or ``bosphorus=1``."""
    subjects: int = option(0, offered=False)
    """How many subjects to draw; 0 takes all."""
    seed: int = 0
    """Seed of --max-per-class."""

    def __post_init__(self) -> None:
        if self.classes and not 1 < len(set(self.classes)) == len(self.classes):
            raise UsageError(f"expected at least two different classes; found {', '.join(self.classes)}")
        if set(self.label_sources) - set(LABEL_SOURCES):
            raise UsageError(
                f"expected label sources among {', '.join(LABEL_SOURCES)}; found {', '.join(self.label_sources)}"
            )
        if self.intensity is not None and not 1 <= self.intensity[0] <= self.intensity[1] <= 4:
            raise UsageError(
                f"expected an intensity within 1-4, such as 4 or 3-4; found {'-'.join(map(str, self.intensity))}"
            )
        if min(self.max_per_class, self.subjects, *self.neutrals_per_subject.values(), 0) < 0:
            raise UsageError("numbers of samples or subjects to keep cannot be negative")

    def recorded(self) -> dict[str, Any]:
        """The settings that differ from the default, JSON-able; empty where everything is taken."""
        chosen = {key: value for key, value in asdict(self).items() if value != getattr(Selection(), key)}
        chosen.pop("seed", None)
        if {"subjects", "max_per_class"} & set(chosen):
            chosen["seed"] = self.seed  # without it nobody could draw the same samples again
        return {key: list(value) if isinstance(value, tuple) else value for key, value in chosen.items()}

    def replaced_by(self, settings: Mapping[str, Any]) -> Selection:
        """This selection with some settings replaced, as read from TOML or JSON; raises UsageError for wrong ones."""
        return checked(Selection, {**asdict(self), **settings}, error=UsageError)

    def classes_of(self, known: Sequence[str]) -> tuple[str, ...]:
        """The chosen ones of a file's ``known`` classes, in their order; all where none is named.

        A class of a named set may be without samples; any other name that the data does not know is refused.
        """
        order = [*known, *(name for name in EIGHT if name not in known)]
        if strange := set(self.classes) - set(order):
            raise UsageError(f"no class {', '.join(sorted(strange))}; there are: {', '.join(known)}")
        return tuple(name for name in order if name in self.classes) or tuple(known)

    def rows(
        self, columns: Mapping[str, np.ndarray], *, emotions: np.ndarray, classes: Sequence[str]
    ) -> NDArray[np.int64]:
        """Row numbers that are chosen, ascending.

        ``columns`` holds ``SELECTING_COLUMNS``, (N,) each; ``emotions`` (N,) is every row's class by name, one of
        ``classes``.
        """
        wanted = self.classes_of(classes)
        known = set(columns["dataset"].tolist())
        absent = (set(self.datasets) | set(self.neutrals_per_subject) - {"*"}) - known
        if absent:
            raise UsageError(f"no samples of {', '.join(sorted(absent))}; there are: {', '.join(sorted(known))}")
        keep = np.isin(emotions, wanted)
        if self.datasets:
            keep &= np.isin(columns["dataset"], self.datasets)
        if self.intensity is not None:
            intensity = columns["intensity"].astype(int)
            keep &= (intensity == 0) | ((intensity >= self.intensity[0]) & (intensity <= self.intensity[1]))
        if self.label_sources:
            keep &= np.isin(columns["label_source"], self.label_sources)
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(columns["id"][rows], kind="stable")]
        rng = np.random.default_rng(self.seed)
        rows = self._draw_subjects(rows, columns, rng)
        rows = self._limit_neutrals(rows, columns, emotions)
        return np.sort(self._limit_classes(rows, emotions, wanted, rng))

    def _draw_subjects(
        self, rows: NDArray[np.int64], columns: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        subjects = np.unique(columns["subject"][rows])
        if not self.subjects:
            return rows
        if len(subjects) < self.subjects:
            more = "prepare and merge more people"
            fewer = f"ask for fewer: --protocol with a copy of the protocol's file that says subjects = {len(subjects)}"
            raise UsageError(
                f"{self.subjects} subjects are wanted; there are {len(subjects)} with the samples asked for",
                hint=f"{more}, or {fewer}" if len(subjects) else more,
            )
        drawn = rng.permutation(subjects)[: self.subjects]
        return rows[np.isin(columns["subject"][rows], drawn)]

    def _limit_neutrals(
        self, rows: NDArray[np.int64], columns: Mapping[str, np.ndarray], emotions: np.ndarray
    ) -> NDArray[np.int64]:
        kept, seen = list[int](), dict[str, int]()
        for row in rows:
            limits = self.neutrals_per_subject
            limit = limits.get(str(columns["dataset"][row]), limits.get("*"))
            if limit is not None and emotions[row] == "neutral":
                subject = str(columns["subject"][row])
                seen[subject] = seen.get(subject, 0) + 1
                if seen[subject] > limit:
                    continue
            kept.append(row)
        return np.array(kept, np.int64)

    def _limit_classes(
        self, rows: NDArray[np.int64], emotions: np.ndarray, classes: Sequence[str], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        if not self.max_per_class:
            return rows
        kept = [rng.permutation(rows[emotions[rows] == name])[: self.max_per_class] for name in classes]
        return np.concatenate(kept)
