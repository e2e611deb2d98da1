"""One sample from raw files to a framed pair: Sample → Scene → landmarks → framing → view → RGB and encoded depth.

The same sample and settings give the same pixels in any process; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.depth_encoding import encode_depth
from fer_prep.digests import pixel_digest
from fer_prep.emotions import label_of
from fer_prep.errors import Reason, SampleError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.framing import Framing, FramingKind, framing_matrix
from fer_prep.faces.landmarks import LandmarkFinder, make_finder
from fer_prep.faces.oval_mask import oval_mask
from fer_prep.geometry.warp import transform_points
from fer_prep.landmark_names import MOUTH_LEFT, MOUTH_RIGHT, NOSE_TIP, eye_centres
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sample import Frame, Landmarks, Sample, Scene
from fer_prep.samples_table import Row
from fer_prep.sources import Source

NOT_FOUND: Final = "not found"
"""``landmarks_from`` of a sample that was kept without a face."""


@dataclass(frozen=True, kw_only=True)
class PreparedSample:
    """The outcome of one sample: pixels and what was measured on the way."""

    rgb: NDArray[np.uint8]
    """(size, size, 3) sRGB."""
    depth: NDArray[np.uint16]
    """(size, size), encoded as ``depth_encoding`` says."""
    measured: Row
    """The columns of the samples table that come from pixels and geometry."""


def prepare_sample(sample: Sample, *, source: Source, settings: PrepareSettings) -> PreparedSample:
    """Load, find the face, frame, encode.

    Raises SampleError (or FormatError) where this one sample cannot be prepared.
    """
    scene = source.load(sample)
    landmarks = find_landmarks(scene, sample=sample, settings=settings)
    frame, framing = frame_scene(scene, landmarks, settings=settings)
    depth, offset_mm = encode_depth(frame.z_mm, frame.valid)
    # a recording that has colour alone may stay without depth; one that should have geometry may not
    if not depth.any() and set(sample.files) != {"rgb"}:
        raise SampleError(
            stage="frame",
            reason=Reason.NO_DEPTH,
            expected="geometry in the framed square",
            found="no valid depth pixel",
        )
    measured: Row = {
        "roll_degrees": np.float32(framing.roll_degrees),
        "depth_offset_mm": np.float32(offset_mm),
        "mm_per_pixel": np.float32(frame.mm_per_pixel),
        "origin_mm": np.array(frame.origin_mm, np.float32),
        "focal_px": np.float32(np.nan),
        "principal_px": np.full(2, np.nan, np.float32),
        "digest": pixel_digest(frame.rgb, depth),
        "rgb_source": scene.rgb_source,
        "registration_residual_px": np.float32(scene.registration_residual_px),
        "filled_pixels": np.uint32(frame.filled_pixels),
        **_landmark_columns(landmarks, framing.matrix),
    }
    return PreparedSample(rgb=frame.rgb, depth=depth, measured=measured)


def find_landmarks(scene: Scene, *, sample: Sample, settings: PrepareSettings) -> Landmarks | None:
    """The face's landmarks in scene-raster pixels; None where there are none and the settings allow that."""
    landmarks = finder_of(settings.landmarks).find(scene, sample=sample)
    if landmarks is None and settings.unfound == "reject" and settings.landmarks.kinds != ("none",):
        is_searched = bool({"mediapipe", "task"} & set(settings.landmarks.kinds))
        raise SampleError(
            stage="landmarks",
            reason=Reason.NO_FACE,
            expected=f"a face (landmarks by {', then '.join(settings.landmarks.kinds)})",
            found="none in any attempt" if is_searched else "no points of both eyes given for it",
        )
    return landmarks


def frame_scene(scene: Scene, landmarks: Landmarks | None, *, settings: PrepareSettings) -> tuple[Frame, Framing]:
    """See the scene as the settings say; without landmarks the whole scene raster, as it was recorded."""
    kind: FramingKind = settings.framing if landmarks is not None else "none"
    framing = framing_matrix(kind, landmarks, raster_size=scene.raster_size, size=settings.size)
    frame = scene.view(framing.matrix, size=settings.size)
    if settings.mask == "face-oval" and landmarks is not None:
        frame = _masked(frame, oval_mask(landmarks, framing.matrix, size=settings.size))
    return frame, framing


@lru_cache(maxsize=4)
def finder_of(spec: FinderSpec) -> LandmarkFinder:
    """The finder of a spec, built once per process."""
    return make_finder(spec)


def table_row(sample: Sample, measured: Mapping[str, Any]) -> Row:
    """The whole row of the samples table: what the dataset says and what preparation measured."""
    return {
        "id": sample.id,
        "subject": sample.subject,
        "dataset": sample.dataset,
        "source_file": sample.source_file,
        "label": np.uint8(label_of(sample.emotion)),
        "label_source": sample.label_source,
        "action_unit": sample.action_unit,
        "gender": sample.gender,
        "ethnicity": sample.ethnicity,
        "intensity": np.uint8(sample.intensity),
        "clip": "",
        "frame": np.uint32(0),
        "yaw_degrees": np.float32(0),
        "pitch_degrees": np.float32(0),
        **measured,
    }


def _landmark_columns(landmarks: Landmarks | None, matrix: NDArray[np.float64]) -> Row:
    """Landmarks in output pixels; NaN where unknown."""
    points = {} if landmarks is None else dict(landmarks.points)
    eyes = eye_centres(points)
    if eyes is not None:
        points["left_eye"], points["right_eye"] = eyes
    unknown = np.full(2, np.nan)
    columns: Row = {
        name: transform_points(points.get(name, unknown), matrix).astype(np.float32)
        for name in ("left_eye", "right_eye", NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT)
    }
    columns["landmarks_from"] = NOT_FOUND if landmarks is None else landmarks.found_by
    columns["faces_found"] = np.uint8(0 if landmarks is None else min(landmarks.faces_found, 255))
    return columns


def _masked(frame: Frame, inside: NDArray[np.bool_]) -> Frame:
    """The frame with everything outside the face black and without depth."""
    rgb = np.where(inside[..., None], frame.rgb, 0).astype(np.uint8)
    valid = frame.valid & inside
    return replace(frame, rgb=rgb, valid=valid, z_mm=np.where(valid, frame.z_mm, np.nan).astype(np.float32))
