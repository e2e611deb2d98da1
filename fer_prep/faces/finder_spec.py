"""Which ways to find landmarks, in which order: what ``--landmarks`` says. See ``landmarks`` for the ways themselves.

Apart from them, so that settings can be read where no picture library is loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from fer_prep.errors import UsageError
from fer_prep.faces.given_points import GivenPointsFinder
from fer_prep.regular_files import open_regular
from fer_prep.sample import Sample

FINDERS: Final = ("mediapipe", "task", "dataset", "file", "none")
WITH_FILE: Final = ("task", "file")


@dataclass(frozen=True, kw_only=True)
class FinderSpec:
    """Which finders to ask, in this order; small and picklable, so that a spawned worker can build its own."""

    kinds: tuple[str, ...] = ("mediapipe",)
    task_file: Path | None = None
    points_file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> FinderSpec:
        """Read ``mediapipe``, ``dataset,mediapipe``, ``task:face_landmarker.task``, ``file:points.csv`` …

        Raises UsageError for an unknown name and a file that is missing.
        """
        kinds: list[str] = []
        files: dict[str, Path] = {}
        for part in text.split(","):
            kind, _, place = part.strip().partition(":")
            if kind not in FINDERS or (place and kind not in WITH_FILE):
                raise UsageError(f"no landmark finder {part.strip()!r}; known: {', '.join(FINDERS)}")
            if kind in WITH_FILE:
                files[kind] = Path(place)
                if not place:
                    raise UsageError(f"the landmark finder {kind!r} needs a file", hint=f"say --landmarks {kind}:FILE")
                if not files[kind].is_file():
                    raise UsageError(f"no such file (for {kind!r} landmarks)", path=files[kind])
            kinds.append(kind)
        return cls(kinds=tuple(kinds), task_file=files.get("task"), points_file=files.get("file"))

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        files = {"task": self.task_file, "file": self.points_file}
        return ",".join(f"{kind}:{files[kind]}" if files.get(kind) else kind for kind in self.kinds)

    def absolute(self) -> FinderSpec:
        """The same finders for a worker that has another current folder."""
        files = {"task_file": self.task_file, "points_file": self.points_file}
        return replace(self, **{name: file.absolute() for name, file in files.items() if file is not None})

    def settings(self, *, sample: Sample | None = None) -> dict[str, Any]:
        """What decides the outcome, JSON-able, for content keys and ``prepared.json``; files count by content.

        With a ``sample``, given points count by this sample's row alone: correcting one row redoes one sample.
        """
        settings: dict[str, Any] = {"landmarks": ",".join(self.kinds)}
        if "mediapipe" in self.kinds or "task" in self.kinds:
            settings["mediapipe"] = _installed_version("mediapipe")
        if self.task_file is not None:
            settings["task_sha256"] = sha256_of(self.task_file)
        if self.points_file is not None and sample is None:
            settings["points_sha256"] = sha256_of(self.points_file)
        elif self.points_file is not None and sample is not None:
            settings["points"] = GivenPointsFinder(points_file=self.points_file).row_text(sample)
        return settings


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal: the digest that publishers of model files print."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _installed_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
