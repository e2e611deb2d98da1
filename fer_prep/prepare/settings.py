"""What a user may decide about prepared samples, whatever the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from fer_prep.errors import UsageError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.framing import FramingKind
from fer_prep.options import option
from fer_prep.sample import Sample

Unfound = Literal["reject", "keep"]
Mask = Literal["none", "face-oval"]

SMALLEST_SIZE, LARGEST_SIZE = 16, 2048
DATASET_OR_FOUND = FinderSpec(kinds=("dataset", "mediapipe"))
FOUND = FinderSpec(kinds=("mediapipe",))


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """How every sample is made; the defaults are those of the commands."""

    size: int = 260
    """Width and height of a prepared sample, in pixels."""
    framing: FramingKind = "rotate"
    """rotate: eyes level, then the face crop. rotate-only: turned, not cropped. eyes: eyes always at the same places.
    frontal: turned in space until the face looks at the viewer, then as rotate. none: as recorded."""
    landmarks: FinderSpec = option(
        DATASET_OR_FOUND,
        parse=FinderSpec.parse,
        metavar="NAME[,NAME…]",
        names=("dataset", "mediapipe", "task:", "file:", "none"),
    )
    """Where landmarks come from, first success wins: dataset (the files beside the recording), mediapipe, task:FILE (a
    face_landmarker.task), file:FILE (a CSV of points), none."""
    unfound: Unfound = "reject"
    """What becomes of a sample whose face is not found: rejected, or kept as it was recorded."""
    mask: Mask = "none"
    """face-oval blackens RGB and depth outside the face."""
    mesh: bool = option(True, offered=False)
    """Look for MediaPipe's face mesh in every sample with colour, whatever frames the face."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any sample is touched."""
        if not SMALLEST_SIZE <= self.size <= LARGEST_SIZE:
            raise UsageError(f"--size must be {SMALLEST_SIZE} to {LARGEST_SIZE} pixels; found {self.size}")
        types = get_type_hints(PrepareSettings)
        for name in ("framing", "unfound", "mask"):
            if getattr(self, name) not in (legal := get_args(types[name])):
                raise UsageError(f"no --{name} {getattr(self, name)!r}; known: {', '.join(legal)}")
        if self.landmarks.kinds == ("none",) and (self.framing != "none" or self.mask != "none"):
            raise UsageError(
                f"--landmarks none cannot serve --framing {self.framing} --mask {self.mask}",
                hint="add --framing none --mask none, or let landmarks be found",
            )

    @property
    def rejects_faceless(self) -> bool:
        """Whether a sample without a face is no sample."""
        return self.unfound == "reject" and self.landmarks.kinds != ("none",)

    def as_json(self) -> dict[str, Any]:
        """For ``prepared.json``: everything but places."""
        return {"unfound": self.unfound, **self.content()}

    def content(self, sample: Sample | None = None) -> dict[str, Any]:
        """What decides the outcome of ``sample``. ``unfound`` is not in it: it decides about unfound faces alone."""
        return {
            "size": self.size,
            "framing": self.framing,
            "mask": self.mask,
            "mesh": self.mesh,
            "landmarks": self.landmarks.settings(sample=sample),
        }
