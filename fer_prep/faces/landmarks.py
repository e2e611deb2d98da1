"""Where landmarks come from: one small seam, ``LandmarkFinder``, and the ways to fill it by name.

=============  ==================================================================================
``mediapipe``  the face mesh of the installed MediaPipe wheel, on the scene's picture
``task``       the face landmarker of a given ``face_landmarker.task`` file
``dataset``    the points that came with the recording (``.bnd``, ``.lm2``)
``file``       a CSV of given points: see ``given_points``
``none``       no landmarks: nothing can be aligned
=============  ==================================================================================

Several may be named, ``dataset,mediapipe``: the first that knows both eyes is taken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Protocol

from fer_prep.errors import UsageError
from fer_prep.faces.given_points import GivenPointsFinder
from fer_prep.faces.mediapipe_finder import MediapipeFinder
from fer_prep.landmark_names import eye_centres
from fer_prep.sample import Landmarks, Sample, Scene

FINDERS: Final = ("mediapipe", "task", "dataset", "file", "none")

SEARCH_VERSION: Final = 2
"""Raised when the search or the meaning of a landmark changes: it is part of every sample's content key."""


class LandmarkFinder(Protocol):
    """Finds the landmarks of the one face that a scene shows."""

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """Points in scene-raster pixels, or None where no face is found."""
        ...


@dataclass(frozen=True, kw_only=True)
class FinderSpec:
    """Which finders to ask, in this order; small and picklable, so that a spawned worker can build its own."""

    kinds: tuple[str, ...] = ("mediapipe",)
    task_file: Path | None = None
    points_file: Path | None = None
    beside: bool = False
    """Let MediaPipe run in a process beside the one that asks; says where, not what, and is no setting of a user."""

    @classmethod
    def parse(cls, text: str, *, task_file: Path | None = None, points_file: Path | None = None) -> FinderSpec:
        """Read ``mediapipe``, ``dataset,mediapipe``, ``task:face_landmarker.task``, ``file:points.csv`` …

        The file of ``task`` and ``file`` may be given after a colon or as an argument.
        Raises UsageError for an unknown name, or a file that is missing or not asked for.
        """
        kinds: list[str] = []
        for part in text.split(","):
            kind, _, place = part.strip().partition(":")
            if kind not in FINDERS or (place and kind not in ("task", "file")):
                raise UsageError(f"no landmark finder {part.strip()!r}; known: {', '.join(FINDERS)}")
            if place and kind == "task":
                task_file = Path(place)
            elif place:
                points_file = Path(place)
            kinds.append(kind)
        _check_file("task", task_file, kinds)
        _check_file("file", points_file, kinds)
        return cls(kinds=tuple(kinds), task_file=task_file, points_file=points_file)

    def absolute(self) -> FinderSpec:
        """The same finders for a worker that has another current folder."""
        files = {"task_file": self.task_file, "points_file": self.points_file}
        return replace(self, **{name: file.absolute() for name, file in files.items() if file is not None})

    def settings(self, *, sample: Sample | None = None) -> dict[str, Any]:
        """What decides the outcome, JSON-able, for content keys and ``prepared.json``; files count by content.

        With a ``sample``, given points count by this sample's row alone: correcting one row redoes one sample.
        """
        settings: dict[str, Any] = {"landmarks": ",".join(self.kinds), "search_version": SEARCH_VERSION}
        if "mediapipe" in self.kinds or "task" in self.kinds:
            settings["mediapipe"] = _installed_version("mediapipe")
        if self.task_file is not None:
            settings["task_sha256"] = sha256_of(self.task_file)
        if self.points_file is not None and sample is None:
            settings["points_sha256"] = sha256_of(self.points_file)
        elif self.points_file is not None and sample is not None:
            settings["points"] = GivenPointsFinder(points_file=self.points_file).row_text(sample)
        return settings

    def describe(self) -> str:
        """One line for people; a model file is named with its SHA-256."""
        parts: list[str] = []
        for kind in self.kinds:
            if kind == "task" and self.task_file is not None:
                parts.append(f"task {self.task_file} (SHA-256 {sha256_of(self.task_file)})")
            elif kind == "file":
                parts.append(f"file {self.points_file}")
            else:
                parts.append(kind)
        return ", then ".join(parts)


def make_finder(spec: FinderSpec | str) -> LandmarkFinder:
    """Build the finder of a spec or of its text; models are loaded when the first scene comes."""
    if isinstance(spec, str):
        spec = FinderSpec.parse(spec)
    finders = tuple(_make_one(kind, spec) for kind in spec.kinds)
    return finders[0] if len(finders) == 1 else ChainFinder(finders=finders)


def _make_one(kind: str, spec: FinderSpec) -> LandmarkFinder:
    if kind == "task":
        return MediapipeFinder(task_file=spec.task_file, beside=spec.beside)
    if kind == "mediapipe":
        return MediapipeFinder(beside=spec.beside)
    if kind == "file" and spec.points_file is not None:
        return GivenPointsFinder(points_file=spec.points_file)
    return {"dataset": DatasetFinder, "none": NoFinder}[kind]()


@dataclass(frozen=True)
class DatasetFinder:
    """The points that came with the recording."""

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """The scene's own landmarks; None where an eye corner is missing."""
        del sample
        if eye_centres(scene.landmarks) is None:
            return None
        return Landmarks(points=dict(scene.landmarks), found_by="dataset")


@dataclass(frozen=True)
class NoFinder:
    """Finds nothing, for samples that are to stay as they are."""

    def find(self, scene: Scene, *, sample: Sample) -> None:
        """Return None always."""
        del scene, sample


@dataclass(frozen=True, kw_only=True)
class ChainFinder:
    """Asks one finder after the other."""

    finders: tuple[LandmarkFinder, ...]

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """What the first successful finder says."""
        for finder in self.finders:
            landmarks = finder.find(scene, sample=sample)
            if landmarks is not None:
                return landmarks
        return None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal: the digest that publishers of model files print."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _installed_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _check_file(kind: str, path: Path | None, kinds: list[str]) -> None:
    if path is None and kind in kinds:
        raise UsageError(f"the landmark finder {kind!r} needs a file", hint=f"say --landmarks {kind}:FILE")
    if path is not None and kind not in kinds:
        raise UsageError(f"a file for {kind!r} landmarks is given, but not used", path=path, hint=f"add {kind}:FILE")
    if path is not None and not path.is_file():
        raise UsageError(f"no such file (for {kind!r} landmarks)", path=path)
