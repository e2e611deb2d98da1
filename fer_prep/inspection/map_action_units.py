"""What a label policy makes of the scans of a Bosphorus tree: one row a scan, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from fer_prep import csv_tables
from fer_prep.atomic_files import write_atomically
from fer_prep.emotions import EMOTIONS
from fer_prep.sources.bosphorus import Bosphorus


@dataclass(frozen=True, kw_only=True)
class MappedScan:
    """One row of the table."""

    scan: str
    """Base name: ``bs000_LFAU_12_0``."""
    code: str
    """Class and code: ``LFAU_12``."""
    category: str
    """The emotion, or empty."""
    reason: str
    """Why it has this category, or none."""
    strength: str
    """``posed``, ``strong`` or ``weak``; empty without a category."""
    source: str
    """Where the rule comes from."""
    usable: str
    """``yes``, or what its files lack; a category alone does not make a sample."""


COLUMNS: Final = tuple(field.name for field in fields(MappedScan))


@dataclass(frozen=True, kw_only=True)
class MappedTree:
    """All scans of a tree by name, and the warnings of the listing."""

    policy: str
    description: str
    scans: tuple[MappedScan, ...]
    warnings: tuple[str, ...]

    def counts(self) -> list[tuple[str, int, int, int, int]]:
        """(category, posed, strong, weak, all) in label order, for scans that have one."""
        by_both = Counter((scan.category, scan.strength) for scan in self.scans if scan.category)
        rows: list[tuple[str, int, int, int, int]] = []
        for emotion in EMOTIONS:
            posed, strong, weak = (by_both[emotion, strength] for strength in ("posed", "strong", "weak"))
            rows.append((emotion, posed, strong, weak, posed + strong + weak))
        return rows

    def left_out(self) -> list[tuple[str, int]]:
        """(reason, scans without a category), most frequent first."""
        reasons = Counter(scan.reason for scan in self.scans if not scan.category)
        return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))


def map_action_units(root: Path, *, policy: str) -> MappedTree:
    """Decide the category of every scan under ``root``; raises UsageError for a wrong root or policy."""
    source = Bosphorus(policy=policy)
    scans, warnings = source.decide_all(root)
    rows = [
        MappedScan(
            scan=name,
            code=code,
            category=decision.emotion,
            reason=decision.reason,
            strength=decision.strength,
            source=decision.source,
            usable=f"no: {lacking}" if lacking else "yes",
        )
        for name, code, decision, lacking in scans
    ]
    return MappedTree(
        policy=source.rules.name,
        description=source.rules.description,
        scans=tuple(sorted(rows, key=lambda row: row.scan)),
        warnings=warnings,
    )


def write_table(scans: Sequence[MappedScan], *, path: Path) -> None:
    """Write the rows as CSV with a header line; whole or not at all."""
    write_atomically(path, content=csv_tables.write_table(COLUMNS, (astuple(scan) for scan in scans)))
