"""One sample from raw files to what is stored: Sample → Scene → landmarks → framing → view → pixels, row, landmarks.

The same sample and settings give the same outcome in any process; nothing is written here. Loose pictures
(``prepare_files``) go the same way as the samples of a dataset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.depth_encoding import encode_depth
from fer_prep.digests import pixel_digest
from fer_prep.errors import Reason, SampleError
from fer_prep.faces.depth_unit import TYPICAL_EYE_DISTANCE_MM, measure_face
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.framing import Framing, FramingKind, framing_matrix
from fer_prep.faces.frontal import frontal_view
from fer_prep.faces.landmarks import make_finder
from fer_prep.faces.mediapipe_finder import MediapipeFinder
from fer_prep.faces.oval_mask import oval_mask
from fer_prep.formats.surface_file import has_colour
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.renderers import DEFAULT_RENDERER
from fer_prep.geometry.turns import view_turn
from fer_prep.geometry.under_points import values_under
from fer_prep.geometry.warp import transform_points
from fer_prep.landmark_names import EYE_CORNERS, NOSE_TIP
from fer_prep.landmark_set import LandmarkSet
from fer_prep.prepare.sample_landmarks import all_landmarks, landmark_columns
from fer_prep.prepare.settings import FOUND, Mask, PrepareSettings
from fer_prep.sample import MODALITIES, Frame, Landmarks, Sample, Scene
from fer_prep.samples_table import Row
from fer_prep.sources import Source
from fer_prep.sources.any_mesh import load_mesh
from fer_prep.sources.recorded_pair import read_pair

SEARCHING: Final = ("mediapipe", "task")
"""The finders that look into the picture."""
FACTOR_OFF: Final = 3.0
"""How far one face, which is measured to a third or so, must be from the size of faces for its unit to be wrong."""


@dataclass(frozen=True, kw_only=True)
class PreparedSample:
    """The outcome of one sample: pixels, and what was measured on the way."""

    rgb: NDArray[np.uint8] | None
    """(size, size, 3) sRGB; None where the dataset has no colour."""
    depth: NDArray[np.uint16] | None
    """(size, size), encoded as ``depth_encoding`` says; None where the dataset has no depth."""
    measured: Row
    """The columns of the samples table that come from pixels and geometry."""
    landmarks: Mapping[str, LandmarkSet]
    """Scheme → a set of this one sample, in stored pixels (centre of the first pixel: 0, 0)."""
    set_right: Mapping[str, str]
    """See ``Scene``."""


def prepare_sample(
    sample: Sample, *, source: Source, settings: PrepareSettings, modalities: Sequence[str] = MODALITIES
) -> PreparedSample:
    """Load one sample and prepare it; raises SampleError (or FormatError) where it cannot be prepared."""
    return prepare_scene(load_view(sample, source=source), sample=sample, settings=settings, modalities=modalities)


def load_view(sample: Sample, *, source: Source) -> Scene:
    """Load the recording and turn it as the view wants; raises SampleError where its colour has one view only.

    Pictures show the view already.
    """
    scene = source.load(sample)
    if not (sample.yaw_degrees or sample.pitch_degrees) or not isinstance(scene, CastScene):
        return scene
    return scene.turned(view_turn(sample.yaw_degrees, sample.pitch_degrees))


def prepare_files(
    files: Mapping[str, Path],
    *,
    framing: FramingKind = "rotate",
    mask: Mask = "none",
    size: int = 260,
    depth_unit_mm: float = 0.125,
) -> PreparedSample:
    """One loose recording for predicting, prepared as the samples of a dataset are.

    ``files``: the picture ``rgb``, alone or with its ``depth``; or a ``mesh`` of any scanner. ``depth_unit_mm`` is what
    one step of the 16-bit depth map means. Raises FormatError for files that cannot be read, SampleError where they do
    not belong together or no face is found.
    """
    first = files.get("mesh") or files["rgb"]
    is_plain = framing == "none" and mask == "none"
    finders = FinderSpec(kinds=("none",)) if is_plain else FOUND
    settings = PrepareSettings(size=size, framing=framing, mask=mask, landmarks=finders, mesh=False)
    sample = Sample(
        id=f"picture/{first.stem}",
        dataset="picture",
        subject=f"picture:{first.stem}",
        emotion="",
        label_source="",
        source_file=first.name,
        files=files,
    )
    if "mesh" in files:
        scene = load_mesh(sample, renderer=DEFAULT_RENDERER)
        there = MODALITIES if has_colour(files["mesh"]) else ("depth",)
        return prepare_scene(scene, sample=sample, settings=settings, modalities=there)
    depth_file = files.get("depth")
    scene = read_pair(files["rgb"], depth_file=depth_file, depth_unit_mm=depth_unit_mm)
    modalities = ("rgb",) if depth_file is None else MODALITIES
    found = find_landmarks(scene, sample=sample, settings=settings)
    if depth_file is not None and found is not None:
        _check_unit(scene, found, depth_file=depth_file, depth_unit_mm=depth_unit_mm)
    return prepare_scene(scene, sample=sample, settings=settings, modalities=modalities, found=found)


def _check_unit(scene: Scene, found: Landmarks, *, depth_file: Path, depth_unit_mm: float) -> None:
    """Refuse a loose picture whose face is far too deep or too flat: a dataset's faces are judged together instead."""
    frame = scene.view(np.eye(2, 3), size=max(scene.raster_size))
    face = measure_face(frame.z_mm, found.points)
    eyes_mm = math.nan if face is None else face.eye_distance_by_relief_mm
    if not (math.isnan(eyes_mm) or 1 / FACTOR_OFF < eyes_mm / TYPICAL_EYE_DISTANCE_MM < FACTOR_OFF):
        raise SampleError(
            stage="frame",
            reason=Reason.IMPLAUSIBLE,
            path=depth_file,
            expected=f"a face in steps of {depth_unit_mm:g} mm, its eyes about {TYPICAL_EYE_DISTANCE_MM:g} mm apart",
            found=f"eyes {eyes_mm:.0f} mm apart by the relief of the face",
            hint="give the unit of your sensor with --depth-unit",
        )


def prepare_scene(
    scene: Scene,
    *,
    sample: Sample,
    settings: PrepareSettings,
    modalities: Sequence[str],
    found: Landmarks | None = None,
) -> PreparedSample:
    """Find the face (unless ``found`` already), frame it, encode what is stored: the way of every recording."""
    found = found or find_landmarks(scene, sample=sample, settings=settings)
    framed = frame_scene(scene, found, sample=sample, settings=settings)
    scene, found, frame, framing = framed.scene, framed.landmarks, framed.frame, framed.framing
    if not (sample.yaw_degrees or sample.pitch_degrees):
        _check_relief(frame, found, framing=framing)
    rgb = frame.rgb if "rgb" in modalities else None
    depth, offset_mm = encode_depth(frame.z_mm, frame.valid, offset_mm=frame.depth_offset_mm)
    if "depth" in modalities and not depth.any():
        raise SampleError(
            stage="frame",
            reason=Reason.NO_DEPTH,
            expected="geometry in the framed square",
            found="no valid depth pixel",
        )
    stored_depth = depth if "depth" in modalities else None
    measured: Row = {
        "roll_degrees": np.float32(framing.roll_degrees),
        "depth_offset_mm": np.float32(offset_mm),
        "mm_per_pixel": np.float32(frame.mm_per_pixel),
        "origin_mm": np.array(frame.origin_mm, np.float32),
        "focal_px": np.float32(frame.focal_px),
        "digest": pixel_digest(rgb, stored_depth),
        "rgb_source": scene.rgb_source if rgb is not None else "",
        "registration_residual_px": np.float32(scene.registration_residual_px),
        "filled_pixels": np.uint32(frame.filled_pixels),
        **framed.turn,
        **landmark_columns(found, framing=framing, frame=frame),
    }
    looks_for_mesh = settings.mesh and rgb is not None
    landmarks = all_landmarks(
        scene,
        found,
        sample=sample,
        framing=framing,
        frame=frame,
        mesh_finder=MediapipeFinder(task_file=settings.landmarks.task_file) if looks_for_mesh else None,
    )
    return PreparedSample(
        rgb=rgb, depth=stored_depth, measured=measured, landmarks=landmarks, set_right=scene.set_right
    )


def _check_relief(frame: Frame, found: Landmarks | None, *, framing: Framing) -> None:
    """Refuse a mesh or grid seen from behind, where the inside of a face looks like a face as well.

    Recorded depth has holes and noise at single points and is judged by all samples together (``depth_unit``).
    """
    names = (NOSE_TIP, *EYE_CORNERS)
    if found is None or not math.isfinite(frame.mm_per_pixel) or not set(names) <= set(found.points):
        return
    places = transform_points(np.array([found.points[name] for name in names]), framing.matrix)
    nose_mm, *eyes_mm = values_under(frame.z_mm, places).tolist()
    if nose_mm < min(eyes_mm):
        raise SampleError(
            stage="landmarks",
            reason=Reason.MISMATCH,
            expected="a nose nearer to the viewer than the eyes",
            found=f"one {np.mean(eyes_mm) - nose_mm:.1f} mm behind them: this is the inside of a face",
        )


def find_landmarks(scene: Scene, *, sample: Sample, settings: PrepareSettings) -> Landmarks | None:
    """The landmarks that frame the face, in scene-raster pixels; None where there are none and that is allowed."""
    landmarks = make_finder(settings.landmarks).find(scene, sample=sample)
    if landmarks is None and settings.rejects_faceless:
        is_searched = bool({*SEARCHING} & {*settings.landmarks.kinds})
        raise SampleError(
            stage="landmarks",
            reason=Reason.NO_FACE,
            expected=f"a face (landmarks by {', then '.join(settings.landmarks.kinds)})",
            found="none in any attempt" if is_searched else "no points of both eyes given for it",
        )
    return landmarks


@dataclass(frozen=True, kw_only=True)
class Framed:
    """A scene as the settings want it seen, and how that came about."""

    scene: Scene
    landmarks: Landmarks | None
    """In pixels of the scene's raster."""
    frame: Frame
    framing: Framing
    turn: Row
    """The columns of how ``frontal`` turned the geometry; empty otherwise."""


def frame_scene(scene: Scene, landmarks: Landmarks | None, *, sample: Sample, settings: PrepareSettings) -> Framed:
    """See the scene as the settings say; without landmarks the whole scene raster, as it was recorded."""
    kind: FramingKind = settings.framing if landmarks is not None else "none"
    turn: Row = {}
    is_metric = True
    if kind == "frontal" and landmarks is not None:
        view = frontal_view(scene, landmarks, find=partial(make_finder(settings.landmarks).find, sample=sample))
        scene, landmarks, is_metric = view.scene, view.landmarks, view.is_metric
        turn = {"yaw_degrees": np.float32(view.yaw_degrees), "pitch_degrees": np.float32(view.pitch_degrees)}
    framing = framing_matrix(kind, landmarks, raster_size=scene.raster_size, size=settings.size)
    frame = scene.view(framing.matrix, size=settings.size)
    if not is_metric:
        frame = replace(frame, mm_per_pixel=math.nan, origin_mm=(math.nan, math.nan))
    if settings.mask == "face-oval" and landmarks is not None:
        frame = _masked(frame, oval_mask(landmarks, framing.matrix, size=settings.size))
    return Framed(scene=scene, landmarks=landmarks, frame=frame, framing=framing, turn=turn)


def table_row(sample: Sample, measured: Mapping[str, Any], *, classes: Sequence[str]) -> Row:
    """The whole row of the samples table: what the dataset says and what preparation measured."""
    shares = {f"soft_{name}": np.float32(sample.soft_labels.get(name, 0.0)) for name in classes}
    return {
        "id": sample.id,
        "subject": sample.subject,
        "dataset": sample.dataset,
        "source_file": sample.source_file,
        "label": np.uint8(classes.index(sample.emotion)),
        "label_source": sample.label_source,
        "action_unit": sample.action_unit,
        "gender": sample.gender,
        "ethnicity": sample.ethnicity,
        "intensity": np.uint8(sample.intensity),
        "clip": sample.clip,
        "frame": np.uint32(sample.frame),
        "yaw_degrees": np.float32(sample.yaw_degrees),
        "pitch_degrees": np.float32(sample.pitch_degrees),
        "publishable": np.uint8(sample.publishable),
        **measured,
        **(shares if sample.soft_labels else {}),
    }


def _masked(frame: Frame, inside: NDArray[np.bool_]) -> Frame:
    """The frame with everything outside the face black and without depth."""
    rgb = np.where(inside[..., None], frame.rgb, 0).astype(np.uint8)
    valid = frame.valid & inside
    return replace(frame, rgb=rgb, valid=valid, z_mm=np.where(valid, frame.z_mm, np.nan).astype(np.float32))
