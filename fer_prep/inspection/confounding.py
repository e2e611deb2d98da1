"""How much of the label is told by the corpus alone: a model can score by recognising the sensor."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.findings import CheckReport
from fer_prep.folds.protocols import FoldData

ONE_CORPUS: Final = 0.8
"""A class of which one corpus gives at least this share is confounded with it …"""
LIFT: Final = 1.25
"""… unless that corpus gives nearly as much of everything."""

CORPORA: Final = {"cald3r": "cald3r+mend3s", "mend3s": "cald3r+mend3s"}
"""Datasets of one laboratory and sensor count as one corpus."""


def corpus_by_class(data: FoldData) -> tuple[list[str], NDArray[np.int64]]:
    """Corpus names, and how many samples of each class (rows) are from each corpus (columns)."""
    corpora = np.array([CORPORA.get(name, name) for name in data.column("dataset")])
    names, corpus = np.unique(corpora, return_inverse=True)
    counts = np.zeros((len(data.classes), len(names)), np.int64)
    np.add.at(counts, (data.labels, corpus), 1)
    return names.tolist(), counts


def describe_confounding(data: FoldData, report: CheckReport) -> None:
    """Add what a classifier that sees only the corpus would score, and the classes that come from one corpus."""
    names, counts = corpus_by_class(data)
    if len(names) < 2:
        return
    total = counts.sum()
    by_corpus, by_prior = counts.max(axis=0).sum() / total, counts.sum(axis=1).max() / total
    confounded: list[str] = []
    for label, row in enumerate(counts):
        top = int(row.argmax())
        share, overall = row[top] / max(row.sum(), 1), counts[:, top].sum() / total
        if share >= ONE_CORPUS and share >= LIFT * overall:
            confounded.append(
                f"{data.classes[label]}: {row[top]} of {row.sum()} ({share:.0%}) are from {names[top]}, "
                f"which has {overall:.0%} of all samples"
            )
    text = (
        f"guessing the class from the corpus alone scores {by_corpus:.1%}, from nothing {by_prior:.1%}; "
        "leave-one-dataset-out shows what is left without it"
    )
    report.add("warning" if confounded else "note", "confounding", text, tuple(confounded))
