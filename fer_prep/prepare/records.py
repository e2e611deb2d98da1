"""What is remembered of each prepared sample, so that a run can continue where another one stopped.

``.journal.jsonl`` grows by one line a sample while a run goes on. At the end of the run it becomes ``.records.jsonl``,
sorted, with the same bytes whatever happened on the way. A line that a kill cut off is dropped: its sample is simply
prepared again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

RECORDS_NAME: Final = ".records.jsonl"
JOURNAL_NAME: Final = ".journal.jsonl"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sample that has been prepared.

    ``key`` digests all that its pixels depend on; ``rgb`` and ``depth`` digest the two files written; ``measured``
    holds the cells of the samples table that preparation measured.
    """

    name: str
    key: str
    rgb: str
    depth: str
    measured: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_line(self) -> str:
        """One JSON line."""
        return json.dumps(vars(self), sort_keys=True) + "\n"


def header_line(dataset: str) -> str:
    """The first line of both files: whose records these are."""
    return json.dumps({"dataset": dataset, "format": "fer-prepared-records", "version": 1}) + "\n"


def read_records(path: Path) -> tuple[str | None, dict[str, Record]]:
    """The dataset and the records by name of a records file; (None, {}) where there is none.

    Later lines win. Lines that are not whole records are left out.
    """
    if not path.is_file():
        return None, {}
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    dataset = _dataset(lines[0]) if lines else None
    records = [record for line in lines[1:] if (record := _parse(line))]
    return dataset, {record.name: record for record in records}


def records_text(dataset: str, records: Iterable[Record]) -> str:
    """The content of ``.records.jsonl``."""
    return header_line(dataset) + "".join(r.to_line() for r in sorted(records, key=lambda record: record.name))


def _dataset(line: str) -> str | None:
    try:
        return str(json.loads(line)["dataset"])
    except (ValueError, KeyError, TypeError):
        return None


def _parse(line: str) -> Record | None:
    if not line.endswith("\n"):
        return None
    try:
        return Record(**json.loads(line))
    except (ValueError, TypeError):
        return None
