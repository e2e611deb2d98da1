"""Experiments of the thesis as files: ``manifests/experiments/<name>.toml``. Read without loading PyTorch.

An experiment names its rows (settings that differ from the preset), the samples it takes, and two protocols: the one
that is run by default, disjoint in subjects, and the thesis's own, which is there to be compared with. Accuracies known
from elsewhere stand beside ours, with their source; where none is known the place stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fer_prep.errors import UsageError
from fer_prep.resources import manifest_file, manifests_folder
from fer_prep.validated import checked, read_toml
from fer_train.config import Config
from fer_train.settings_file import override

OURS: Final = "subject-disjoint"
THESIS: Final = "thesis"
SOURCES: Final = {
    "thesis": "the thesis",
    "article": "the author's later article, whose figures are not the thesis's (erAI-17/"
    "Facial_Expression_Recognition_2024, Article/content/results.tex)",
}
"""Who says the figures of an experiment, in short and in words."""


@dataclass(frozen=True, kw_only=True)
class ExperimentRow:
    """One line of a table: what differs from the preset, and the accuracy known for it."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    classes: tuple[str, ...] = ()
    """Where they are not those of the experiment."""
    figure: float | None = None
    """Overall accuracy in percent by the experiment's source; None where not known here."""

    @property
    def folder(self) -> str:
        """The name as a folder's."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A line of another system, quoted and not run."""

    name: str
    figure: float


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One file of ``manifests/experiments``."""

    name: str
    title: str
    place: str
    """Where it stands in the thesis."""
    protocol: str
    thesis_protocol: str
    source: str
    """Of the figures: a key of ``SOURCES``, or in words."""
    rows: tuple[ExperimentRow, ...]
    others: tuple[Quoted, ...] = ()
    prepared: Mapping[str, str] = field(default_factory=dict[str, str])
    """Dataset → the framing that it should be prepared with."""
    note: str = ""
    selection: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings of ``fer_prep.folds.selection.Selection``."""

    def framed_otherwise(self, data_settings: Mapping[str, Any]) -> list[str]:
        """A sentence for every dataset that the file of these settings has in another framing than ``prepared``."""
        framings = {entry["dataset"]: entry["settings"].get("framing") for entry in data_settings.get("inputs", ())}
        return [
            f"{dataset} should be prepared with --framing {wanted}; here it is {framings.get(dataset) or 'unknown'}"
            for dataset, wanted in self.prepared.items()
            if framings.get(dataset) != wanted
        ]

    def protocol_called(self, wanted: str) -> str:
        """``subject-disjoint`` and ``thesis`` are this experiment's own; everything else is a protocol's name."""
        return {OURS: self.protocol, THESIS: self.thesis_protocol}.get(wanted, wanted)


def experiment_names() -> list[str]:
    """The experiments this installation has."""
    return sorted(path.stem for path in (manifests_folder() / "experiments").glob("*.toml"))


def read_experiment(name: str) -> Experiment:
    """The experiment of that name, or of the TOML file at that path."""
    path = Path(name) if name.endswith(".toml") else manifest_file("experiments", name)
    try:
        content = read_toml(path, error=UsageError)
    except FileNotFoundError:
        raise UsageError("no such experiment", path=path) from None
    experiment = checked(Experiment, {**content, "name": path.stem}, path=path, error=UsageError)
    if not experiment.rows:
        raise UsageError("an experiment needs at least one [[rows]]", path=path)
    for row in experiment.rows:
        try:
            override(Config(), row.settings)
        except UsageError as error:
            raise UsageError(f"row {row.name!r}: {error.message}", path=path) from None
    return experiment
