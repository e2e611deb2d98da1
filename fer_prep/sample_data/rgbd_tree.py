"""CalD3r and MenD3s: elicited expressions before a consumer depth camera; colour and 16-bit depth on one raster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.emotions import EMOTIONS
from fer_prep.formats.images import write_image
from fer_prep.sample_data.camera import Camera, head_rotation
from fer_prep.sample_data.expressions import emotion_actions
from fer_prep.sample_data.head import HeadMesh, Sitter
from fer_prep.sample_data.native_files import write_file
from fer_prep.sample_data.people import draw_person
from fer_prep.sample_data.rendering import paint, see, to_bytes
from fer_prep.sample_data.studio import draw_lighting, room_background, spots, through_lens
from fer_prep.sample_data.truth import TruthRow, truth_row

Array = NDArray[np.float64]

PICTURE_PX: Final = 224
FOCAL_PX: Final = 475.0
"""Of a 640 × 480 structured-light camera; the distributed pictures are crops of its raster."""
DEPTH_UNIT_MM: Final = 0.125
MAX_ROLL_DEGREES: Final = 25.0
REPETITIONS: Final = 2
NEUTRAL_REPETITIONS: Final = 3


@dataclass(frozen=True, kw_only=True)
class RgbdSet:
    """One of the two databases: its folder, and how many digits its subject and repetition numbers have."""

    key: str
    folder: str
    subject_digits: int
    code_digits: int
    first_subject: int


CALD3R: Final = RgbdSet(key="cald3r", folder="CalD3r", subject_digits=3, code_digits=1, first_subject=1)
MEND3S: Final = RgbdSet(key="mend3s", folder="MenD3s", subject_digits=2, code_digits=2, first_subject=1)


def depth_picture(head: HeadMesh, posed: Array, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint16]:
    """(H, W) distance in 1/8 mm, 0 where the sensor saw nothing: the room behind, hair in part, edges, holes."""
    shape = camera.size[1], camera.size[0]
    distance = see(head, posed=posed, lens=camera).distance_mm()
    filled = np.nan_to_num(distance, nan=1e4)
    edge = (cv2.dilate(filled, np.ones((3, 3))) - cv2.erode(filled, np.ones((3, 3)))) > 25.0
    noisy = distance + rng.normal(0, 0.35, shape) + 0.25 * np.sin(distance / 1.7)
    lost = np.isnan(distance) | edge | spots(shape, rng)
    return np.where(lost, 0, np.round(np.nan_to_num(noisy) / DEPTH_UNIT_MM)).astype(np.uint16)


def subject_of(database: RgbdSet, index: int) -> tuple[str, str]:
    """Gender and zero-padded number; women and men are numbered independently."""
    return "FM"[index % 2], f"{database.first_subject + index // 2:0{database.subject_digits}d}"


def _pose(points: Array, rng: np.random.Generator) -> Array:
    """(V, 3) a head that leans and turns, the middle of the face near the axis of the camera."""
    roll = rng.uniform(-MAX_ROLL_DEGREES, MAX_ROLL_DEGREES)
    rotation = head_rotation(yaw_degrees=rng.normal(0, 5), pitch_degrees=rng.normal(0, 4), roll_degrees=roll)
    return (points - np.array([0.0, -30.0, 0.0])) @ rotation.T + rng.normal(0, (8, 8, 0))


def _camera(rng: np.random.Generator) -> Camera:
    """The depth camera at a desk's distance."""
    middle, distance = PICTURE_PX / 2, float(rng.uniform(470, 680))
    return Camera(distance_mm=distance, focal_px=FOCAL_PX, centre_px=(middle, middle), size=(PICTURE_PX, PICTURE_PX))


def _write_pair(folder: Path, sample: str, head: HeadMesh, rng: np.random.Generator) -> tuple[Array, Camera]:
    """Write the colour and the depth picture; returns the head's points (V, 3) as posed, and the camera."""
    posed = _pose(head.points, rng)
    camera = _camera(rng)
    light = draw_lighting(rng, variety=0.8)
    background = room_background(rng, size=camera.size)
    picture = paint(see(head, posed=posed, lens=camera, finer=2), head, light=light, background=background)
    picture = through_lens(picture, blur_px=rng.uniform(0.3, 0.7), noise=rng.uniform(0.005, 0.015), rng=rng)
    colour_file, depth_file = folder / "RGB" / f"{sample}_Color.png", folder / "DEPTH" / f"{sample}_Depth.png"
    write_file(colour_file, write_image(to_bytes(picture)))
    write_file(depth_file, write_image(depth_picture(head, posed, camera, rng)))
    return posed, camera


def _recordings() -> list[tuple[str, int]]:
    """Emotion and repetition of everything that one person shows."""
    counts = {emotion: NEUTRAL_REPETITIONS if emotion == "neutral" else REPETITIONS for emotion in EMOTIONS}
    return [(emotion, repetition) for emotion, count in counts.items() for repetition in range(count)]


def write_subject(root: Path, database: RgbdSet, index: int, *, rng: np.random.Generator) -> list[TruthRow]:
    """Write all recordings of one person below ``root``/CalD3r or MenD3s and return their truth."""
    gender, number = subject_of(database, index)
    person = draw_person(gender, rng=rng)
    sitter = Sitter(person)
    rows: list[TruthRow] = []
    for emotion, repetition in _recordings():
        strength = float(rng.uniform(0.65, 1.0))
        actions = emotion_actions(emotion, strength=strength, style=person.style, rng=rng)
        gaze = (float(rng.normal(0, 0.5)), float(rng.normal(0, 0.3)))
        head = sitter.show(actions, gaze_mm=gaze)
        code = f"{repetition:0{database.code_digits}d}"
        sample = f"{gender}_{number}_{code}_{emotion}"
        posed, camera = _write_pair(root / database.folder / emotion.capitalize(), sample, head, rng)
        row = truth_row(
            dataset=database.key,
            sample=sample,
            subject=f"{gender}{number}",
            gender=gender,
            emotion=emotion,
            code=code,
            actions=actions,
            picture=f"{database.folder}/{emotion.capitalize()}/RGB/{sample}_Color.png",
            camera=camera,
            posed=posed,
        )
        rows.append(row)
    return rows
