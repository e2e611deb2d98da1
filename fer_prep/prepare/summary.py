"""What a run of preparing did, and the files by which the prepared folder describes itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_prep import __version__
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.digests import bytes_digest, data_digest
from fer_prep.emotions import EMOTIONS
from fer_prep.prepare.folder import FORMAT, FORMAT_VERSION, LEFT_OUT, REJECTED, SAMPLES, SUMMARY, table_name
from fer_prep.prepare.folder_tables import SOFT, rejections_text, samples_text
from fer_prep.sample import MODALITIES, Rejection
from fer_prep.samples_table import Row


@dataclass(kw_only=True)
class PrepareSummary:
    """What a run did and what the folder now holds."""

    dataset: str
    folder: Path
    classes: tuple[str, ...] = EMOTIONS
    modalities: tuple[str, ...] = MODALITIES
    prepared: int = 0
    """Samples whose pixels were made in this run."""
    reused: int = 0
    """Samples that were up to date."""
    rows: list[Row] = field(default_factory=list[Row])
    rejected: list[Rejection] = field(default_factory=list[Rejection])
    left_out: list[Rejection] = field(default_factory=list[Rejection])
    warnings: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    """What was checked and found in order."""
    set_right: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What recordings have otherwise in their files than they are seen (``turned upright by 90°``) → their ids."""
    preview: Path | None = None
    """The contact sheet, where one was asked for."""

    @property
    def total(self) -> int:
        """Recordings that should have become samples."""
        return len(self.rows) + len(self.rejected)

    @property
    def by_class(self) -> dict[str, int]:
        """Samples by emotion, in label order."""
        counts = Counter(int(row["label"]) for row in self.rows)
        return {name: counts[label] for label, name in enumerate(self.classes)}

    def counts_of(self, column: str) -> dict[str, int]:
        """Samples by the value of a text column (``rgb_source``, ``landmarks_from`` …), most frequent first."""
        return dict(Counter(row[column] for row in self.rows).most_common())


def describe(
    summary: PrepareSummary, *, settings: Mapping[str, Any], code: str, schemes: Iterable[str]
) -> dict[str, Any]:
    """The content of ``prepared.json`` but for the digests of the tables: nothing of when, where or by how many."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": summary.dataset,
        "created_by": f"fer-prep {__version__}",
        "code": code,
        "settings": settings,
        "classes": list(summary.classes),
        "modalities": list(summary.modalities),
        "landmarks": sorted(schemes),
        "depth_unit_mm": UNIT_MM,
        "counts": {
            "samples": len(summary.rows),
            "rejected": len(summary.rejected),
            "left_out": len(summary.left_out),
            "by_class": summary.by_class,
        },
        "set_right": summary.set_right,
        "digest": data_digest((row["digest"] for row in summary.rows), (row["label"] for row in summary.rows)),
    }


def folder_content(
    summary: PrepareSummary, *, description: Mapping[str, Any], landmarks: Mapping[str, bytes]
) -> dict[str, str | bytes]:
    """File name → content: the tables, those of landmarks (by scheme), and ``prepared.json`` last."""
    has_shares = any(name.startswith(SOFT) for row in summary.rows for name in row)
    tables: dict[str, str | bytes] = {
        SAMPLES: samples_text(summary.rows, soft=summary.classes if has_shares else ()),
        REJECTED: rejections_text(summary.rejected),
        LEFT_OUT: rejections_text(summary.left_out),
        **{table_name(scheme): content for scheme, content in landmarks.items()},
    }
    digests = {
        name: bytes_digest(content.encode() if isinstance(content, str) else content)
        for name, content in tables.items()
    }
    whole = json.dumps({**description, "tables": digests}, indent=2, ensure_ascii=False) + "\n"
    return {**tables, SUMMARY: whole}
