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

from dataclasses import dataclass
from typing import Protocol

from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.given_points import GivenPointsFinder
from fer_prep.faces.mediapipe_finder import MediapipeFinder
from fer_prep.landmark_names import eye_centres
from fer_prep.sample import Landmarks, Sample, Scene


class LandmarkFinder(Protocol):
    """Finds the landmarks of the one face that a scene shows."""

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """Points in scene-raster pixels, or None where no face is found."""
        ...


def make_finder(spec: FinderSpec | str) -> LandmarkFinder:
    """The finder of a spec or of its text; models are loaded when the first scene comes, once a process."""
    if isinstance(spec, str):
        spec = FinderSpec.parse(spec)
    return _FirstOf(finders=tuple(_make_one(kind, spec) for kind in spec.kinds))


def _make_one(kind: str, spec: FinderSpec) -> LandmarkFinder:
    if kind in ("mediapipe", "task"):
        return MediapipeFinder(task_file=spec.task_file if kind == "task" else None)
    if kind == "file" and spec.points_file is not None:
        return GivenPointsFinder(points_file=spec.points_file)
    return {"dataset": _DatasetFinder, "none": _FirstOf}[kind]()


@dataclass(frozen=True)
class _DatasetFinder:
    """The points that came with the recording."""

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """The scene's own landmarks; None where an eye corner is missing."""
        del sample
        if eye_centres(scene.landmarks) is None:
            return None
        return Landmarks(points=dict(scene.landmarks), found_by="dataset")


@dataclass(frozen=True, kw_only=True)
class _FirstOf:
    """Asks one finder after the other; without any, nothing is found."""

    finders: tuple[LandmarkFinder, ...] = ()

    def find(self, scene: Scene, *, sample: Sample) -> Landmarks | None:
        """What the first successful finder says."""
        found = (finder.find(scene, sample=sample) for finder in self.finders)
        return next((landmarks for landmarks in found if landmarks is not None), None)
