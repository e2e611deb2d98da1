"""Options that several dataset commands share: which samples take part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fer_prep.cli.completion import names
from fer_prep.cli.workspace import RAW_TREES
from fer_prep.emotions import LABEL_SOURCES

if TYPE_CHECKING:
    from fer_prep.folds.selection import Selection

Classes = Annotated[
    str,
    typer.Option(
        autocompletion=names("seven", "six-without-surprise", "six-without-neutral"),
        help="[b]seven[/], [b]six-without-surprise[/], [b]six-without-neutral[/], or emotions with commas.",
        show_default="all",
    ),
]
Datasets = Annotated[
    str,
    typer.Option(autocompletion=names(*RAW_TREES), help="Only these datasets, with commas.", show_default="all"),
]
Intensity = Annotated[
    str,
    typer.Option(
        help="Only these intensities, e.g. [b]3-4[/]; samples without one (neutral, other datasets) stay.",
        show_default="all",
    ),
]
LabelSource = Annotated[
    str,
    typer.Option(
        autocompletion=names(*LABEL_SOURCES),
        help="Only labels that are [b]posed[/], [b]elicited[/], [b]action-unit[/].",
        show_default="all",
    ),
]
MaxPerClass = Annotated[int, typer.Option(min=0, help="Draw at most so many samples of each class; 0: all.")]
Neutrals = Annotated[
    str,
    typer.Option(
        "--neutrals-per-subject", help="Neutral samples to keep: [b]2[/], or [b]bosphorus=1[/].", show_default="all"
    ),
]


def make_selection(
    *,
    classes: str,
    datasets: str,
    intensity: str,
    label_source: str,
    max_per_class: int,
    neutrals: str,
    seed: int,
    default_classes: tuple[str, ...] | None = None,
) -> Selection:
    """The selection that the options describe."""
    from fer_prep.folds.selection import Selection, parse_classes, parse_intensity, parse_neutrals

    chosen: dict[str, Any] = {"max_per_class": max_per_class, "seed": seed}
    if classes or default_classes:
        chosen["classes"] = parse_classes(classes) if classes else default_classes
    if datasets:
        chosen["datasets"] = _split(datasets)
    if intensity:
        chosen["intensity"] = parse_intensity(intensity)
    if label_source:
        chosen["label_sources"] = _split(label_source)
    if neutrals:
        chosen["neutrals_per_subject"] = parse_neutrals(neutrals)
    return Selection(**chosen)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
