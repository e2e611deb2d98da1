"""The data card beside a dataset: what it is made of and on whose terms, for people and for machines.

Everything in it is read from the dataset file and from ``manifests/``; equal datasets get equal cards. The machine's
form is Croissant JSON-LD (see ``croissant``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from fer_prep.atomic_files import write_atomically
from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset_manifest import DatasetManifest, load_manifest
from fer_prep.errors import FoldsError, UsageError
from fer_prep.findings import CheckReport
from fer_prep.folds.default import folds_path
from fer_prep.folds.splits import read_folds
from fer_prep.inspection.confounding import describe_confounding
from fer_prep.inspection.croissant import croissant
from fer_prep.inspection.statistics import SUBJECT_COLUMNS, crosstab, landmarks_table, subjects_table, totalled


def write_data_card(dataset: Path) -> tuple[Path, Path]:
    """Write ``global.card.md`` and ``global.croissant.json`` beside ``global.h5``."""
    markdown = dataset.with_name(f"{dataset.stem}.card.md")
    machine = dataset.with_name(f"{dataset.stem}.croissant.json")
    with DatasetFile.open(dataset) as data:
        write_atomically(markdown, content=card_text(data))
        names = _sources(data)
        description = f"{describe(data)} of facial expressions from {', '.join(names)}"
        known = [manifest for name in names if (manifest := _manifest(name)) is not None]
        card = croissant(data, description=description, known=known)
        write_atomically(machine, content=json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return markdown, machine


def card_text(data: DatasetFile) -> str:
    """The card as Markdown."""
    parts = [
        f"# {data.path.name}",
        f"{describe(data)} of {len(set(data.column('subject').tolist()))} people showing {len(data.classes)} "
        f"expressions, {data.width} × {data.height} pixels{_contents(data)}. Digest `{data.digest}`, written by "
        f"{data.created_by}.",
        "## Sources, licences, citations",
        *(_source(name) for name in _sources(data)),
        "## Samples",
        _table(*totalled(*crosstab(data, "dataset"))),
        _table(SUBJECT_COLUMNS, subjects_table(data)),
        "By how the label was come by:",
        _table(*totalled(*crosstab(data, "label_source"))),
        "## Known biases",
        "\n".join(f"- {line}" for line in biases(data)),
        "## Folds",
        _folds(data),
        "## How it was made",
        "```json\n" + json.dumps(data.settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def describe(data: DatasetFile) -> str:
    """How many pictures of which kind."""
    kinds = {"rgb": "colour pictures", "depth": "depth pictures", "rgb depth": "registered RGB-D pictures"}
    return f"{data.n} {kinds[' '.join(data.modalities)]}"


def _contents(data: DatasetFile) -> str:
    """What there is besides colour and labels."""
    parts = [f"depth in steps of {data.depth_unit_mm} mm"] if "depth" in data.modalities else []
    parts += [f"landmarks {scheme} in {known} of them" for scheme, _, known, _ in landmarks_table(data)]
    parts += ["the shares of annotators for each class"] if data.soft_labels is not None else []
    return "".join(f", {part}" for part in parts)


def biases(data: DatasetFile) -> list[str]:
    """What a user should know before trusting a number, each with its figures."""
    found: list[str] = []
    report = CheckReport(path=str(data.path), kind="dataset")
    describe_confounding(data, report)
    for finding in report.findings:
        found += [finding.text[:1].upper() + finding.text[1:] + ".", *(f"{item}." for item in finding.items)]
    _, counts = crosstab(data, "dataset")
    totals = {emotion: sum(numbers) for emotion, numbers in counts.items()}
    most, least = max(totals, key=lambda name: totals[name]), min(totals, key=lambda name: totals[name])
    if totals[most] > totals[least]:
        found.append(f"Classes are uneven: {totals[most]} of {most}, {totals[least]} of {least}.")
    sources, _ = crosstab(data, "label_source")
    if len(sources) > 1:
        found.append(f"Labels of different kinds are mixed ({', '.join(sources)}): they do not mean the same.")
    found += [f"{row[0]}: {row[2]} women, {row[3]} men." for row in subjects_table(data) if row[2] != row[3]]
    return found


def _sources(data: DatasetFile) -> list[str]:
    return sorted(set(data.column("dataset").tolist()))


def _manifest(name: str) -> DatasetManifest | None:
    """None for a dataset that this installation knows nothing of."""
    try:
        return load_manifest(name)
    except UsageError:
        return None


def _source(name: str) -> str:
    manifest = _manifest(name)
    if manifest is None:
        return f"**{name}**: no manifest; its licence and citation are for its owner to say."
    licence, citation = manifest.licence, manifest.citation
    lines = [f"**{manifest.title}** (`{name}`)", f"- licence: {licence.get('terms', 'unknown')}"]
    lines += [f"- {key}: {licence[key]}" for key in ("publication", "apply", "page") if licence.get(key)]
    doi = f" doi:{citation['doi']}" if citation.get("doi") else ""
    lines.append(f"- cite: {citation.get('text', 'unknown')}{doi}")
    return "\n".join(lines)


def _folds(data: DatasetFile) -> str:
    path = folds_path(data.path)
    if not path.is_file():
        return "No fold manifest lies beside the dataset."
    try:
        manifest = read_folds(path, data=data)
    except FoldsError as error:
        return f"`{path.name}` does not fit: {error.message}"
    sizes = ", ".join(str(len(fold.val)) for fold in manifest.folds)
    return f"`{path.name}`: {manifest.protocol}, seed {manifest.seed}, validation sets of {sizes} samples."


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
