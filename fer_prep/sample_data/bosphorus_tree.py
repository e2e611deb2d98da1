"""Bosphorus: range grids with registered pictures of emotions, single action units, poses and occlusions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fer_prep.formats.images import write_image
from fer_prep.sample_data import skin
from fer_prep.sample_data.action_unit_shapes import Action
from fer_prep.sample_data.camera import Camera, head_rotation
from fer_prep.sample_data.expressions import emotion_actions, single_unit
from fer_prep.sample_data.face_plan import EYE_CENTRE, MOUTH_CORNER
from fer_prep.sample_data.head import HeadMesh, Sitter
from fer_prep.sample_data.native_files import (
    TextStyle,
    bnt_bytes,
    lm2_bytes,
    lm3_bytes,
    write_file,
)
from fer_prep.sample_data.people import Person, draw_person
from fer_prep.sample_data.plan_mesh import plan_mesh
from fer_prep.sample_data.rendering import paint, see, to_bytes
from fer_prep.sample_data.studio import draw_lighting, plain_background, through_lens
from fer_prep.sample_data.truth import TruthRow, truth_row
from fer_prep.sources.bosphorus import EMOTION_CODES

Array = NDArray[np.float64]

CAMERA_DISTANCE_MM: Final = 1500.0
PIXELS_PER_MM: Final = 2.1
NODE_SPACING_MM: Final = 1.0
SENSOR_NOISE_MM: Final = 0.08
DROPOUT: Final = 0.0015
HIDDEN_BY_MM: Final = 5.0
"""Something this much nearer than a landmark hides it."""

_MAPPED_UNITS: Final = {
    "LFAU_24": "anger",
    "LFAU_9": "disgust",
    "UFAU_1": "fear",
    "LFAU_12": "happiness",
    "LFAU_15": "sadness",
    "UFAU_2": "surprise",
}
_DISTRACTOR_UNITS: Final = ("LFAU_10", "LFAU_17", "LFAU_27", "UFAU_4", "LFAU_25", "LFAU_20", "UFAU_43", "LFAU_34")

# label → landmark row of BU-3DFE that lies on the same spot
_LABEL_ROWS: Final = {
    "Outer left eyebrow": 20, "Middle left eyebrow": 18, "Inner left eyebrow": 16,
    "Inner right eyebrow": 26, "Middle right eyebrow": 28, "Outer right eyebrow": 30,
    "Outer left eye corner": 4, "Inner left eye corner": 0, "Inner right eye corner": 8, "Outer right eye corner": 12,
    "Nose saddle left": 36, "Nose saddle right": 47, "Left nose peak": 39, "Right nose peak": 44,
    "Left mouth corner": 48, "Upper lip outer middle": 51, "Right mouth corner": 54,
    "Upper lip inner middle": 62, "Lower lip inner middle": 66, "Lower lip outer middle": 57,
}  # fmt: skip
_LABEL_PLACES: Final = {"Nose tip": (0.0, -42.0), "Chin middle": (0.0, -101.0)}

STYLES: Final = (TextStyle(), TextStyle(newline="\r\n"))


@dataclass(frozen=True, kw_only=True)
class _Scan:
    code: str
    repetition: int
    emotion: str
    actions: tuple[Action, ...]
    yaw_degrees: float = 0.0
    pitch_degrees: float = 0.0
    hand_at: tuple[float, float, float] | None = None


@lru_cache(maxsize=1)
def landmark_vertices() -> dict[str, int]:
    """Label → vertex of the plan."""
    mesh = plan_mesh()
    vertices = {label: int(mesh.landmarks[row]) for label, row in _LABEL_ROWS.items()}
    places = KDTree(mesh.xy)
    vertices.update({label: int(places.query(place)[1]) for label, place in _LABEL_PLACES.items()})
    return vertices


def _unit_of(code: str) -> int:
    return int(code.split("_")[1])


def _scans(index: int, person: Person, rng: np.random.Generator) -> list[_Scan]:
    """The recordings of one session: everything the label policy uses, and one of each kind that it leaves out."""

    def emotion(name: str, strength: float = 1.0) -> tuple[Action, ...]:
        return emotion_actions(name, strength=strength, style=person.style, rng=rng)

    def unit(number: int, left: float = 1.0, right: float = 1.0) -> tuple[Action, ...]:
        return single_unit(number, left=left, right=right, rng=rng)

    scans = [_Scan(code="N_N", repetition=k, emotion="neutral", actions=emotion("neutral")) for k in range(2)]
    for code, name in EMOTION_CODES.items():
        scans.append(
            _Scan(code=f"E_{code}", repetition=0, emotion=name, actions=emotion(name, rng.uniform(0.85, 1.05)))
        )
    for code, name in _MAPPED_UNITS.items():
        scans.append(_Scan(code=code, repetition=0, emotion=name, actions=unit(_unit_of(code))))
    one_sided = (("LFAU_12L", 1.0, 0.05), ("LFAU_12R", 0.05, 1.0), ("LFAU_12LW", 0.4, 0.4))[index % 3]
    scans.append(_Scan(code=one_sided[0], repetition=0, emotion="", actions=unit(12, *one_sided[1:])))
    other = _DISTRACTOR_UNITS[index % len(_DISTRACTOR_UNITS)]
    scans.append(_Scan(code=other, repetition=0, emotion="", actions=unit(_unit_of(other))))
    combined = (*unit(12), Action(unit=15, left=0.8, right=0.8))
    scans.append(_Scan(code="CAU_A12A15", repetition=0, emotion="", actions=combined))
    pose, yaw, pitch = (("YR_R20", -20, 0), ("YR_L45", 45, 0), ("PR_U", 0, 22), ("YR_R10", -10, 0), ("PR_D", 0, -22))[
        index % 5
    ]
    scans.append(
        _Scan(code=pose, repetition=0, emotion="", actions=emotion("neutral"), yaw_degrees=yaw, pitch_degrees=pitch)
    )
    hidden, place = (("O_EYE", (*EYE_CENTRE, 16.0)), ("O_MOUTH", (0.0, MOUTH_CORNER[1], 30.0)))[index % 2]
    scans.append(_Scan(code=hidden, repetition=0, emotion="", actions=emotion("neutral"), hand_at=place))
    scans.append(_Scan(code="IGN_X", repetition=0, emotion="", actions=emotion("neutral")))
    return scans


def _crop_camera(posed: Array, head: HeadMesh) -> Camera:
    """A camera of the sensor's resolution whose picture is cropped round the head, as the distributed ones are."""
    focal = CAMERA_DISTANCE_MM * PIXELS_PER_MM
    whole = Camera(distance_mm=CAMERA_DISTANCE_MM, focal_px=focal, centre_px=(0.0, 0.0), size=(0, 0))
    shown = posed[np.unique(head.faces[head.material < skin.NECK_SWATCH])]
    pixels = whole.project(shown[shown[:, 1] > -125])
    low, high = np.floor(pixels.min(axis=0)) - 14, np.ceil(pixels.max(axis=0)) + 14
    width, height = (high - low).astype(int).tolist()
    return Camera(
        distance_mm=CAMERA_DISTANCE_MM, focal_px=focal, centre_px=(-float(low[0]), -float(low[1])), size=(width, height)
    )


def _range_planes(head: HeadMesh, posed: Array, camera: Camera, rng: np.random.Generator) -> Array:
    """(5, rows, columns) x, y, z, a, b over the face, top row first; noise moves a point along its own ray."""
    spacing_px = NODE_SPACING_MM * PIXELS_PER_MM
    face = camera.project(posed[: len(plan_mesh().xy)])
    low = np.maximum(face.min(axis=0) - 4, 1.0) + rng.uniform(0, 1, 2)
    high = np.minimum(face.max(axis=0) + 4, np.array(camera.size) - 1.0)
    columns, rows = np.floor((high - low) / spacing_px).astype(int).tolist()
    grid = Camera(
        distance_mm=camera.distance_mm,
        focal_px=camera.focal_px / spacing_px,
        centre_px=tuple((camera.centre_px - low) / spacing_px),
        size=(columns, rows),
    )
    # the sensor returns neither hair nor cloth
    solid = np.isin(head.material, (skin.HAIR_SWATCH, skin.CLOTH_SWATCH), invert=True)
    distance = see(head.part(solid), posed=posed, lens=grid).distance_mm()
    distance = distance + SENSOR_NOISE_MM * rng.standard_normal(distance.shape)
    distance[rng.random(distance.shape) < DROPOUT] = np.nan
    u = low[0] + (np.arange(columns) + 0.5) * spacing_px
    v = low[1] + (np.arange(rows) + 0.5) * spacing_px
    u, v = np.meshgrid(u, v)
    x = (u - camera.centre_px[0]) / camera.focal_px * distance
    y = -(v - camera.centre_px[1]) / camera.focal_px * distance
    planes = np.stack([x, y, camera.distance_mm - distance, u / camera.size[0], v / camera.size[1]])
    planes[:, np.isnan(distance)] = np.nan
    return planes


def _visible_landmarks(distance: Array, posed: Array, camera: Camera) -> dict[str, int]:
    """Label → vertex of the landmarks that nothing hides; ``distance`` (H, W) is what the camera sees."""
    visible: dict[str, int] = {}
    for label, vertex in landmark_vertices().items():
        column, row = np.floor(camera.project(posed[vertex : vertex + 1])[0]).astype(int)
        around = distance[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5]
        farthest = np.nanmax(around, initial=-np.inf) if around.size else -np.inf
        if farthest > camera.range_mm(posed[vertex : vertex + 1])[0] - HIDDEN_BY_MM:
            visible[label] = vertex
    return visible


def write_scan(base: Path, head: HeadMesh, posed: Array, *, style: TextStyle, rng: np.random.Generator) -> Camera:
    """Write the four files of one scan; returns the camera of its picture."""
    camera = _crop_camera(posed, head)
    name = f"{base.name}.png"
    background = plain_background(rng, size=camera.size) * 0.25
    light = draw_lighting(rng, variety=0.2)
    view = see(head, posed=posed, lens=camera)
    picture = paint(view, head, light=light, background=background)
    picture = through_lens(picture, blur_px=0.7, noise=0.008, rng=rng)
    write_file(base.with_name(name), write_image(to_bytes(picture)))
    planes = _range_planes(head, posed, camera, rng)
    write_file(base.with_suffix(".bnt"), bnt_bytes(planes, picture_name=name))
    visible = _visible_landmarks(view.distance_mm(), posed, camera)
    in_space = {label: posed[vertex] for label, vertex in visible.items()}
    in_picture = {label: camera.project(point[None])[0] for label, point in in_space.items()}
    write_file(base.with_suffix(".lm3"), lm3_bytes(in_space, picture_name=name, style=style))
    write_file(base.with_suffix(".lm2"), lm2_bytes(in_picture, picture_name=name, style=style))
    return camera


def _pose(scan: _Scan, points: Array, rng: np.random.Generator) -> Array:
    """(V, 3) the head's points as the sensor meets them: turned as the scan says, and never quite still."""
    yaw, pitch, roll = rng.normal(0, (1.5, 1.5, 2.0))
    rotation = head_rotation(
        yaw_degrees=yaw + scan.yaw_degrees, pitch_degrees=pitch + scan.pitch_degrees, roll_degrees=roll
    )
    return points @ rotation.T + rng.normal(0, (8, 8, 8))


def write_subject(root: Path, index: int, *, rng: np.random.Generator) -> list[TruthRow]:
    """Write all scans of one person below ``root``/BosphorusDB and return their truth."""
    subject = f"bs{index:03d}"
    person = draw_person("MF"[index % 2], rng=rng)
    sitter = Sitter(person)
    style = STYLES[index % len(STYLES)]
    rows: list[TruthRow] = []
    for scan in _scans(index, person, rng):
        head = sitter.show(scan.actions, hand_at=scan.hand_at)
        posed = _pose(scan, head.points, rng)
        sample = f"{subject}_{scan.code}_{scan.repetition}"
        camera = write_scan(root / "BosphorusDB" / subject / sample, head, posed, style=style, rng=rng)
        row = truth_row(
            dataset="bosphorus",
            sample=sample,
            subject=subject,
            gender=person.gender,
            emotion=scan.emotion,
            code=scan.code,
            actions=scan.actions,
            picture=f"BosphorusDB/{subject}/{sample}.png",
            camera=camera,
            posed=posed,
            frontal=scan.yaw_degrees == 0 and scan.pitch_degrees == 0 and scan.hand_at is None,
        )
        rows.append(row)
    return rows
