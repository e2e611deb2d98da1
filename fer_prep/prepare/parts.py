"""A share of a dataset's samples, for batch systems that start the same command many times: ``--part 3/8``.

Which part a recording belongs to follows from its id alone: parts stay what they are when a tree grows. Each part is
a prepared folder of its own beside where the whole one would be, so that every part has its own lock, its own
continuation after a kill, and one writer. Merging takes all of them or none (``check_parts``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fer_prep.digests import bytes_digest, settings_digest
from fer_prep.errors import PreparedFolderError, UsageError
from fer_prep.prepare.folder import PreparedFolder
from fer_prep.sample import Listing

PART: Final = "part"
"""The key in ``prepared.json``."""
_TEXT: Final = re.compile(r"([0-9]+)/([0-9]+)")
_HINT: Final = "run the same command with the missing --part, then merge again"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part ``index`` of ``count``, counted from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``3/8``; raises UsageError for anything else."""
        match = _TEXT.fullmatch(text.strip())
        index, count = (int(number) for number in match.groups()) if match else (0, 0)
        if not 1 <= index <= count:
            raise UsageError(
                f"--part {text!r}: expected I/N with I from 1 to N, such as 3/8",
                hint="with a SLURM array: --array=1-8 and --part $SLURM_ARRAY_TASK_ID/8",
            )
        return cls(index=index, count=count)

    def folder(self, whole: Path) -> Path:
        """Where the part goes: beside the place of the whole prepared folder."""
        return whole.with_name(f"{whole.name}.part-{self.index:0{len(str(self.count))}d}-of-{self.count}")

    def of_listing(self, listing: Listing) -> Listing:
        """What of a tree belongs to this part, the recordings that became no sample too."""
        return replace(
            listing,
            samples=tuple(sample for sample in listing.samples if self._has(sample.id)),
            rejected=tuple(r for r in listing.rejected if self._has(r.sample_id or r.source_file)),
            left_out=tuple(r for r in listing.left_out if self._has(r.sample_id or r.source_file)),
        )

    def describe(self, listing: Listing) -> dict[str, Any]:
        """What ``prepared.json`` says of it; ``listing`` is that of the whole tree."""
        names = sorted(sample.id for sample in listing.samples)
        return {"index": self.index, "of": self.count, "listing": settings_digest({"samples": names})}

    def _has(self, name: str) -> bool:
        return int(bytes_digest(name.encode(errors="surrogateescape"))[:12], 16) % self.count == self.index - 1


def check_parts(folders: Sequence[PreparedFolder]) -> None:
    """Raise PreparedFolderError where parts of a dataset are missing, doubled, or not of the same run of parts."""
    by_dataset: dict[str, list[PreparedFolder]] = defaultdict(list)
    for folder in folders:
        if PART in folder.summary:
            by_dataset[folder.summary["dataset"]].append(folder)
    for dataset, parts in by_dataset.items():
        _refuse_different(dataset, parts)
        _refuse_missing(dataset, parts)


def _refuse_different(dataset: str, parts: Sequence[PreparedFolder]) -> None:
    """All parts must come of one division of one tree, by the same settings and code."""
    first, others = parts[0], parts[1:]
    for other in others:
        one, two = first.summary, other.summary
        for what, same in (
            ("into another number of parts", one[PART]["of"] == two[PART]["of"]),
            ("from a tree with other recordings", one[PART]["listing"] == two[PART]["listing"]),
            ("with other settings", one["settings"] == two["settings"]),
            ("by another version of fer-rgbd or its libraries", one.get("code") == two.get("code")),
        ):
            if not same:
                raise PreparedFolderError(
                    f"this part of {dataset} was prepared {what} than {first.path}",
                    path=other.path,
                    hint="prepare all parts by the same command, or name only those that belong together",
                )


def _refuse_missing(dataset: str, parts: Sequence[PreparedFolder]) -> None:
    count = int(parts[0].summary[PART]["of"])
    found = {int(part.summary[PART]["index"]): part.path for part in parts}
    if len(found) < len(parts):
        raise PreparedFolderError(f"a part of {dataset} is named more than once", path=parts[0].path)
    missing = [index for index in range(1, count + 1) if index not in found]
    if missing:
        listed = ", ".join(f"{index}/{count}" for index in missing[:20])
        more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        raise PreparedFolderError(
            f"of {count} parts of {dataset} {len(missing)} missing: {listed}{more}", path=parts[0].path, hint=_HINT
        )
