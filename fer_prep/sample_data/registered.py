"""Generated people straight to a dataset of registered pictures, for a network to begin with.

The generator is that of the native trees, with more variety: hair and skin of many colours, glasses, light from
anywhere in front, heads that turn, good and poor cameras, three ways of sensing depth. No file lies between a person
and the dataset, only what lies between any recording and it (``prepare_scene``); and nobody looks for faces, because
where MediaPipe would see its points is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import replacing
from fer_prep.dataset.writer import DatasetWriter, Measured, measure
from fer_prep.emotions import EMOTIONS
from fer_prep.engines.choice import make_engine
from fer_prep.engines.engine import answered
from fer_prep.errors import UsageError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.mediapipe_finder import MESH_INDEX, SCHEME, SCHEME_NAMES
from fer_prep.folder_lock import file_lock
from fer_prep.geometry.cast_scene import BACKGROUND
from fer_prep.landmark_set import LandmarkSet
from fer_prep.prepare.prepare_sample import prepare_scene, table_row
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.progress import Progress, silent
from fer_prep.sample import MODALITIES, Frame, Point, PointSet, Sample
from fer_prep.sample_data import skin
from fer_prep.sample_data.camera import Camera, head_rotation
from fer_prep.sample_data.expressions import draw_style, emotion_actions
from fer_prep.sample_data.head import HeadMesh, Sitter, cropped
from fer_prep.sample_data.mediapipe_points import mediapipe_points
from fer_prep.sample_data.people import Person, draw_person
from fer_prep.sample_data.rendering import View, colours, look, to_bytes
from fer_prep.sample_data.studio import draw_lighting, plain_background, room_background, spots, through_lens

Array = NDArray[np.float64]

GENERATOR_VERSION: Final = 1
"""Raised when the same options no longer give the same pictures."""
MOMENTS, VIEWS = 2, 2
"""How often a person shows each emotion, and how many pictures are taken of it, in other light and from elsewhere."""
PICTURES: Final = len(EMOTIONS) * MOMENTS * VIEWS
"""Of every person."""
MAX_SUBJECTS: Final = 100_000

_KEY: Final = 4
"""The native datasets have 0 to 3: these people stand in none of them, whatever the seed."""
_RASTER_PX: Final = 512
_FRAMING_ERROR: Final = 0.015
"""Standard deviation of the points that frame a face, over the distance between the eyes."""


class _Task(NamedTuple):
    """One person to make."""

    seed: int
    person: int
    settings: PrepareSettings


class _Picture(NamedTuple):
    """What becomes a row of the dataset."""

    measured: Measured
    landmarks: LandmarkSet


def write_registered(
    out: Path,
    *,
    subjects: int,
    seed: int = 0,
    size: int = 128,
    workers: int | None = None,
    progress: Progress = silent,
) -> int:
    """Write ``PICTURES`` pictures of ``subjects`` people to the dataset ``out``; return how many there are.

    The bytes depend on ``subjects``, ``seed`` and ``size`` alone. Raises UsageError where ``out`` is there already.
    """
    if not 1 <= subjects <= MAX_SUBJECTS:
        raise UsageError(f"expected 1 to {MAX_SUBJECTS} subjects; found {subjects}")
    if seed < 0:
        raise UsageError(f"expected a seed of 0 or more; found {seed}")
    settings = PrepareSettings(size=size, landmarks=FinderSpec(kinds=("dataset",)), mesh=False)
    if out.exists():
        raise UsageError(
            "expected a name that is free; found a file", path=out, hint="remove it, or choose another --out"
        )
    recorded = {**settings.as_json(), "subjects": subjects, "seed": seed, "generator_version": GENERATOR_VERSION}
    landmarks: list[LandmarkSet] = []
    with file_lock(out), replacing(out) as part, progress("people", total=subjects, unit="people") as advance:
        writer = DatasetWriter(part, n=subjects * PICTURES, size=size)
        try:
            for pictures in _in_order(seed, subjects, settings, workers=workers):
                for picture in pictures:
                    writer.append(picture.measured)
                    landmarks.append(picture.landmarks)
                advance(1)
            inputs = [{"dataset": "generated", "settings": recorded}]
            writer.finish(
                settings={"size": size, "inputs": inputs}, landmarks={SCHEME: LandmarkSet.concatenated(landmarks)}
            )
        except BaseException:
            writer.abandon()
            raise
    return subjects * PICTURES


def _in_order(seed: int, subjects: int, settings: PrepareSettings, *, workers: int | None) -> Iterator[list[_Picture]]:
    """The pictures of one person after the other, whichever is made first."""
    tasks = [_Task(seed, index, settings) for index in range(subjects)]
    made: dict[int, list[_Picture]] = {}
    following = 0
    for task, pictures in make_engine(workers=workers).run(pictures_of, items=tasks):
        made[task.person] = answered(pictures, name=f"person {task.person}")
        while following in made:
            yield made.pop(following)
            following += 1


def pictures_of(task: _Task) -> list[_Picture]:
    """Make one person and take all pictures; the random numbers depend on the seed and their number alone."""
    rng = np.random.default_rng([task.seed, _KEY, task.person])
    person = _varied(draw_person("FM"[int(rng.integers(2))], rng=rng), rng)
    glasses = (skin.HAIR_SWATCH, skin.CLOTH_SWATCH)[int(rng.integers(2))] if rng.random() < 0.25 else None
    sitter = Sitter(person, glasses=glasses)
    pictures: list[_Picture] = []
    for emotion in EMOTIONS:
        for _ in range(MOMENTS):
            head = _show(sitter, emotion, rng, texels=2 * task.settings.size)
            for _ in range(VIEWS):
                sample = _sample(task, person, emotion, number=len(pictures))
                scene = _Recording(head, rng)
                made = prepare_scene(scene, sample=sample, settings=task.settings, modalities=MODALITIES)
                row = table_row(sample, {**made.measured, "landmarks_from": "generated"}, classes=EMOTIONS)
                measured = measure(row, made.rgb, made.depth, digest=row["digest"])
                pictures.append(_Picture(measured, made.landmarks[SCHEME]))
    return pictures


def _sample(task: _Task, person: Person, emotion: str, *, number: int) -> Sample:
    name = f"{task.seed}-{task.person:05d}"
    return Sample(
        id=f"generated/{name}_{number:02d}",
        dataset="generated",
        subject=f"generated:{name}",
        emotion=emotion,
        label_source="posed",
        source_file="",
        files={},
        gender=person.gender,
        ethnicity=person.ethnicity,
    )


def _varied(person: Person, rng: np.random.Generator) -> Person:
    """The person with colours and a shape from a wider range, beard or make-up."""
    look = person.complexion
    paint = rng.uniform(0.02, 0.9) * np.array([1.0, rng.uniform(0.55, 1.0), rng.uniform(0.3, 1.0)])
    painted = look.hair if rng.random() < 0.6 else tuple(np.clip(paint, 0.02, 0.95).tolist())
    skin_tone = np.clip(np.asarray(look.skin) * rng.uniform(0.8, 1.15) * (1 + rng.normal(0, 0.04, 3)), 0.08, 0.97)
    redness = np.array([1.0, rng.uniform(0.6, 1.0), rng.uniform(0.7, 1.0)])
    return replace(
        person,
        traits={name: value + float(rng.normal(0, 0.4)) for name, value in person.traits.items()},
        scale=tuple((np.asarray(person.scale) * (1 + rng.normal(0, 0.03, 3))).tolist()),
        complexion=replace(
            look,
            skin=tuple(skin_tone.tolist()),
            lips=tuple(np.clip(np.asarray(look.lips) * redness, 0.06, 0.95).tolist()),
            hair=painted,
            cloth=tuple(rng.uniform(0.05, 0.9, 3).tolist()),
            brow_thickness=look.brow_thickness * float(rng.uniform(0.7, 1.25)),
            brow_strength=float(rng.uniform(0.4, 0.95)),
            beard=look.beard if rng.random() < 0.7 or person.gender == "F" else float(rng.uniform(0.3, 0.9)),
            hairline_mm=float(rng.uniform(44, 74)),
        ),
    )


def _show(sitter: Sitter, emotion: str, rng: np.random.Generator, *, texels: int) -> HeadMesh:
    """The person showing an emotion in their own way or another; paint finer than ``texels`` across is averaged."""
    style = sitter.person.style if rng.random() < 0.6 else draw_style(rng)
    actions = emotion_actions(emotion, strength=float(rng.uniform(0.45, 1.1)), style=style, rng=rng)
    gaze_mm = tuple(rng.normal(0, (1.2, 0.6)).tolist())
    head = sitter.show(actions, gaze_mm=gaze_mm)
    coarser = max(1, skin.FACE_WIDTH // texels)
    height, width = (length // coarser for length in head.atlas.shape[:2])
    atlas = cv2.resize(head.atlas, (width, height), interpolation=cv2.INTER_AREA)
    return replace(head, atlas=np.asarray(atlas, np.float32), uv_corners=head.uv_corners / coarser)


class _Recording:
    """A head before a camera, as a scene: light, pose, camera and depth sensor are drawn here."""

    rgb_source = "generated"
    registration_residual_px = 0.0
    set_right: Mapping[str, str] = {}
    raster_size = (_RASTER_PX, _RASTER_PX)

    def __init__(self, head: HeadMesh, rng: np.random.Generator) -> None:
        self._rng = rng
        self._sensor = ("mesh", "grid", "camera")[int(rng.integers(3))]
        turn = 0.4 if self._sensor == "mesh" else 1.0  # scans are posed
        yaw, pitch, roll = rng.normal(0, (9 * turn, 7 * turn, 9))
        rotation = head_rotation(yaw_degrees=yaw, pitch_degrees=pitch, roll_degrees=roll)
        self._posed = (head.points - np.array([0.0, -30.0, 0.0])) @ rotation.T + rng.normal(0, (15, 15, 0))
        distance_mm = float(rng.uniform(450, 1000) if self._sensor == "camera" else rng.uniform(1000, 4000))
        middle = (_RASTER_PX / 2, _RASTER_PX / 2)
        focal_px = 1.9 * distance_mm
        self._lens = Camera(distance_mm=distance_mm, focal_px=focal_px, centre_px=middle, size=self.raster_size)
        self._light = draw_lighting(rng, variety=float(rng.uniform(0.1, 1.4)))
        self._head = head.part(_kept(head)) if self._sensor == "mesh" else head
        points_mm = mediapipe_points(self._posed)
        points_px = self.project(points_mm)
        in_camera = points_mm - np.array([0.0, 0.0, distance_mm])
        self.schemes: Mapping[str, PointSet] = {
            SCHEME: PointSet(names=SCHEME_NAMES, points_px=points_px, points_mm=in_camera)
        }
        error = _FRAMING_ERROR * float(np.linalg.norm(points_px[MESH_INDEX["left_eye_outer"]] - points_px[33]))
        self.landmarks: Mapping[str, Point] = {
            name: points_px[index] + rng.normal(0, error, 2) for name, index in MESH_INDEX.items()
        }

    def project(self, points_mm: NDArray[np.floating]) -> Array:
        """See Scene."""
        return self._lens.project(np.asarray(points_mm, np.float64))

    def picture(self) -> NDArray[np.uint8]:
        """See Scene."""
        return self.view(np.eye(2, 3), size=_RASTER_PX).rgb

    def depth_centre(self) -> None:
        """See Scene: there is one face."""

    def view(self, matrix: Array, *, size: int) -> Frame:
        """See Scene."""
        camera = self._lens.central().seen_through(np.asarray(matrix, np.float64))
        view = look(self._head, posed=self._posed, camera=camera, shape=(size, size))
        z_mm = self._sensed(view)
        return Frame(
            rgb=self._photographed(view),
            z_mm=z_mm.astype(np.float32),
            valid=np.isfinite(z_mm),
            focal_px=camera.focal_px,
            principal_px=camera.principal_px,
        )

    def _photographed(self, view: View) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB through a camera with a mind of its own: exposure, white balance, contrast, blur, noise."""
        rng, (height, width) = self._rng, view.shape
        picture = (room_background if rng.random() < 0.6 else plain_background)(rng, size=(width, height))
        picture[view.surface.valid] = colours(view.surface, self._head, light=self._light)
        gain = np.exp(rng.normal(0, 0.18)) * (1 + rng.normal(0, 0.05, 3))
        picture = np.clip(picture * gain, 0, 1) ** np.exp(rng.normal(0, 0.15))
        grey = picture @ np.array([0.3, 0.6, 0.1])
        picture += rng.uniform(-0.15, 0.35) * (grey[..., None] - picture)
        picture = through_lens(picture, blur_px=rng.uniform(0.3, 0.9), noise=rng.uniform(0.003, 0.025), rng=rng)
        if self._sensor == "mesh":
            picture[~view.surface.valid] = np.array(BACKGROUND) / 255
        return to_bytes(picture)

    def _sensed(self, view: View) -> Array:
        """(H, W) heights toward the camera in mm, NaN where the sensor saw nothing."""
        rng, shape = self._rng, view.shape
        z_mm = view.surface.height_map().astype(np.float64)
        if self._sensor == "mesh":
            return z_mm
        material = np.zeros(shape, np.int8)
        material[view.surface.valid] = self._head.material[view.faces]
        hair = material == skin.HAIR_SWATCH
        if self._sensor == "grid":
            lost = hair | (material == skin.CLOTH_SWATCH) | (rng.random(shape) < 0.0015)
            return np.where(lost, np.nan, z_mm + rng.uniform(0.03, 0.15) * rng.standard_normal(shape))
        filled = np.nan_to_num(z_mm, nan=-1e4)
        edge = cv2.dilate(filled, np.ones((3, 3))) - cv2.erode(filled, np.ones((3, 3))) > 25.0
        patchy = hair & (skin.smooth_noise(rng, shape, max(2, shape[0] // 16)) > rng.uniform(-1.5, 1.5))
        wave = 0.25 * np.sin(z_mm / 1.7 + rng.uniform(0, 6))
        noise = rng.uniform(0.15, 0.6) * rng.standard_normal(shape)
        return np.where(edge | patchy | spots(shape, rng), np.nan, z_mm + wave + noise)


def _kept(head: HeadMesh) -> NDArray[np.bool_]:
    """(F,) the triangles of a cropped scan."""
    kept = np.zeros(len(head.faces), np.bool_)
    kept[: head.face_faces] = cropped(head.points)
    return kept
