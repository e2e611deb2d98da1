"""A person with an expression as one textured mesh: the face, and round it hair, ears, neck and shoulders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data import skin
from fer_prep.sample_data.action_unit_shapes import Action, displacement
from fer_prep.sample_data.expressions import mean_activations
from fer_prep.sample_data.face_plan import EYE_CENTRE, MOUTH_CORNER
from fer_prep.sample_data.face_shape import EYEBALL_CENTRE, identity_shift, resting_face
from fer_prep.sample_data.openings import close_lips, fit_lids, hollow_mouth
from fer_prep.sample_data.people import Person
from fer_prep.sample_data.plan_mesh import LEFT_EYE, MOUTH, RIGHT_EYE, plan_mesh
from fer_prep.sample_data.wrinkles import wrinkled

Array = NDArray[np.float64]

FACE: Final = -1
"""Material of the face; that of everything else is its swatch."""


@dataclass(frozen=True, kw_only=True)
class HeadMesh:
    """Mesh and paint of one moment.

    ``points`` (V, 3) mm, +x the subject's left, +y up, +z forward, origin between the eyes; the first
    vertices are those of the plan. ``faces`` (F, 3); ``uv_corners`` (F, 3, 2) atlas pixels, y down;
    ``dimming`` (V,) light kept by occlusion; ``atlas`` (512, 640, 3) sRGB 0…1; ``material`` (F,) FACE or a swatch of
    the atlas; the first ``face_faces`` triangles are those of the plan.
    """

    points: Array
    faces: NDArray[np.int32]
    uv_corners: Array
    dimming: Array
    atlas: NDArray[np.float32]
    material: NDArray[np.int8]
    face_faces: int

    def part(self, kept: NDArray[np.bool_]) -> HeadMesh:
        """With the triangles ``kept`` (F,) alone."""
        counted = int(np.count_nonzero(kept[: self.face_faces]))
        return replace(
            self,
            faces=self.faces[kept],
            uv_corners=self.uv_corners[kept],
            material=self.material[kept],
            face_faces=counted,
        )


def _eyeballs(person: Person) -> Array:
    """(2, 3) centres of the left and the right eyeball."""
    centres: list[NDArray[np.float64]] = []
    for side in (1.0, -1.0):
        at = np.array(EYEBALL_CENTRE) * np.array([side, 1, 1])
        shift = identity_shift(person.traits, (side * EYE_CENTRE[0], EYE_CENTRE[1]))
        centres.append((at + shift) * np.asarray(person.scale))
    return np.array(centres)


def _face_points(person: Person, actions: tuple[Action, ...]) -> Array:
    points = resting_face(person.traits, scale=person.scale)
    lids = Action(unit=43, left=person.lids_at_rest, right=person.lids_at_rest)
    points += displacement((*actions, lids))
    close_lips(points, parted_mm=person.lips_at_rest_mm)
    fit_lids(points, eyeballs=_eyeballs(person))
    hollow_mouth(points)
    return points


def _face_uv(points: Array, person: Person, gaze_mm: tuple[float, float]) -> Array:
    """(F, 3, 2) atlas pixels: skin by plan position, eyes by position on the eyeball, mouth by place in the skull."""
    mesh = plan_mesh()
    corners = skin.face_uv(mesh.unrolled, mesh.xy[:, 1])[mesh.faces]
    for key, tile, centre in zip(
        (LEFT_EYE, RIGHT_EYE), (skin.LEFT_EYE_TILE, skin.RIGHT_EYE_TILE), _eyeballs(person), strict=True
    ):
        offset = points[:, :2] - centre[:2] - np.asarray(gaze_mm)
        uv = skin.tile_uv(offset, tile=tile, extent_mm=skin.EYE_TILE_MM)
        corners[mesh.part == key] = uv[mesh.faces[mesh.part == key]]
    shift = identity_shift(person.traits, (0.0, MOUTH_CORNER[1] + 5))
    middle = (np.array([0.0, MOUTH_CORNER[1] - 12.0]) + shift[:2]) * np.asarray(person.scale[:2])
    uv = skin.tile_uv(points[:, :2] - middle, tile=skin.MOUTH_TILE, extent_mm=skin.MOUTH_TILE_MM)
    corners[mesh.part == MOUTH] = uv[mesh.faces[mesh.part == MOUTH]]
    return corners


@lru_cache(maxsize=1)
def _face_dimming() -> Array:
    """(V,) light kept: dark along the lash line and between the lips, shade under the upper lid."""
    mesh = plan_mesh()
    keep = np.ones(len(mesh.xy))
    for key in (LEFT_EYE, RIGHT_EYE):
        opening = mesh.openings[key]
        keep[opening.inner] = 1.0 - 0.45 * np.clip(opening.height - 0.45, 0, 1) / 0.55
        keep[opening.upper_edge] = 0.18
        keep[opening.lower_edge[1:-1]] = 0.62
    opening = mesh.openings[MOUTH]
    keep[opening.inner] = 0.85
    keep[opening.upper_edge] = 0.38
    keep[opening.lower_edge] = 0.5
    return keep


def cropped(points: Array) -> NDArray[np.bool_]:
    """(F,) triangles of the plan that a cropped scan keeps, from forehead to chin and ear to ear; ``points`` (V, 3)."""
    mesh = plan_mesh()
    kept = (points[: len(mesh.xy), 2] > -66) & (mesh.xy[:, 1] > -116)
    kept &= np.hypot(mesh.unrolled / 96, (mesh.xy[:, 1] + 22) / 97) < 1
    kept[mesh.landmarks] = True
    return np.asarray(kept[mesh.faces].all(axis=1))


@dataclass(frozen=True, kw_only=True)
class _Piece:
    points: Array
    faces: NDArray[np.int32]
    uv: Array
    material: int


def _tube(rows: Array, *, columns: int, swatch: int) -> _Piece:
    """Ellipses stacked along y: rows (n, 5) of y, half width, half depth, centre x, centre z, from the top down."""
    angle = np.linspace(0, 2 * np.pi, columns)
    y, half_width, half_depth, centre_x, centre_z = (rows[:, k, None] for k in range(5))
    points = np.stack(
        [centre_x + half_width * np.sin(angle), y + 0 * angle, centre_z + half_depth * np.cos(angle)], axis=-1
    )
    count = len(rows)
    fraction_x, fraction_y = np.meshgrid(np.abs(angle / np.pi - 1), np.linspace(0, 1, count))
    uv = skin.swatch_uv(np.column_stack([fraction_x.ravel(), fraction_y.ravel()]), swatch=swatch)
    return _Piece(points=points.reshape(-1, 3), faces=_strips(count, columns), uv=uv, material=swatch)


def _strips(rows: int, columns: int) -> NDArray[np.int32]:
    """(F, 3) two triangles for every cell of a grid of vertices."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.column_stack([first, first + columns, first + columns + 1])
    return np.vstack([lower, np.column_stack([first, first + columns + 1, first + 1])]).astype(np.int32)


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float], swatch: int) -> _Piece:
    height = np.cos(np.linspace(0.02, np.pi - 0.02, 20))
    across = np.sqrt(1 - height**2)
    ones = np.ones_like(height)
    rows = [centre[1] + radii[1] * height, radii[0] * across, radii[2] * across, centre[0] * ones, centre[2] * ones]
    return _tube(np.column_stack(rows), columns=36, swatch=swatch)


def _hair(person: Person) -> list[_Piece]:
    """A cap over the skull, cut along the hairline; long hair goes straight down behind the ears."""
    rng = np.random.default_rng(person.complexion.noise_seed + 1)
    columns = 144
    top = np.linspace(0.05, np.pi / 2, 44)
    fall_y = np.arange(16, -person.hair_length_mm - 1, -3.0)
    y = np.concatenate([18 + 102 * np.cos(top), fall_y])
    share = np.concatenate([np.sin(top), 1.0 + 0.0006 * (16 - fall_y)])
    fullness = person.hair_fullness
    rows = np.column_stack(
        [y, 76 * fullness * share, 97 * fullness * np.minimum(share, 1.02), 0 * y, -83 - 6 * (fullness - 1) + 0 * y]
    )
    cap = _tube(rows, columns=columns, swatch=skin.HAIR_SWATCH)
    strands = np.convolve(rng.normal(0, 1.0, columns + 4), [0.25, 0.5, 1, 0.5, 0.25], mode="valid")
    strands[-1] = strands[0]
    points = cap.points.reshape(len(y), columns, 3).copy()
    points[..., 2] += 0.7 * strands
    points[..., 0] *= 1 + 0.006 * strands
    points = points.reshape(-1, 3)
    centre = points[cap.faces].mean(axis=1)
    wave = np.interp(
        centre[:, 0], np.linspace(-90, 90, 61), np.convolve(rng.normal(0, 1.4, 63), np.ones(3) / 2, "valid")
    )
    temples = person.temples * np.exp(-(((np.abs(centre[:, 0]) - 34) / 13) ** 2))
    hairline = person.complexion.hairline_mm - 0.009 * centre[:, 0] ** 2 + wave + temples
    kept = (centre[:, 1] > hairline) | (centre[:, 2] < -60 - 0.1 * np.abs(centre[:, 1]))
    outside = _Piece(points=points, faces=cap.faces[kept], uv=cap.uv, material=cap.material)
    # long hair is also seen from within, beside the neck; vertices of its own, for normals of its own
    return [outside, replace(outside, faces=outside.faces[:, ::-1])]


def _surroundings(person: Person) -> list[_Piece]:
    """Hair, ears, the back of the head, neck and shoulders in the mean face's millimetres."""
    neck_y = np.linspace(-52, -200, 24)
    slope = np.clip((-neck_y - 128) / 42, 0, 1.6) ** 2
    stout = 1.06 if person.gender == "M" else 0.92
    neck = np.column_stack(
        [neck_y, 52 * stout + 34 * slope, 52 * stout + 6 * slope, 0 * neck_y, -82 + 0.06 * (neck_y + 88)]
    )
    return [
        *_hair(person),
        _tube(neck, columns=48, swatch=skin.NECK_SWATCH),
        _ellipsoid((0, -6, -86), (64, 84, 66), skin.NECK_SWATCH),
        _ellipsoid((69.5, -16, -84), (8, 30, 17), skin.EAR_SWATCH),
        _ellipsoid((-69.5, -16, -84), (8, 30, 17), skin.EAR_SWATCH),
        _ellipsoid((0, -252, -96), (205, 92, 76), skin.CLOTH_SWATCH),
    ]


def _glasses(swatch: int) -> list[_Piece]:
    """Two rims before the eyes, a bridge between them, and the temples' beginnings."""
    turn = np.linspace(0, 2 * np.pi, 29)
    x, y, _ = EYEBALL_CENTRE
    lines = [np.array([[x - 23, y + 3, 21], [0, y + 6, 23], [23 - x, y + 3, 21]])]
    for side in (1.0, -1.0):
        across = 23 * np.sin(turn)
        lines.append(np.column_stack([side * (x + across), y - 2 + 18 * np.cos(turn), 15 - 0.26 * across]))
        lines.append(np.array([[side * (x + 23), y + 3, 9], [side * 72, y + 4, -20], [side * 74, y + 2, -75]]))
    return [_rod(line, swatch) for line in lines]


def _rod(line: Array, swatch: int) -> _Piece:
    """A square rod 2.4 mm thick along ``line`` (n, 3)."""
    corners = 1.2 * np.array([[1, 1, 1], [1, -1, 1], [-1, -1, -1], [-1, 1, -1], [1, 1, 1]])
    points = line[:, None] + corners
    faces = _strips(len(line), len(corners))
    uv = skin.swatch_uv(np.full((points.size // 3, 2), 0.5), swatch=swatch)
    # seen from within too: whichever way the line runs, a side of it faces the camera
    return _Piece(points=points.reshape(-1, 3), faces=np.vstack([faces, faces[:, ::-1]]), uv=uv, material=swatch)


class Sitter:
    """A person who sits for pictures: what is the same in all of them is made once."""

    def __init__(self, person: Person, *, glasses: int | None = None) -> None:
        """``glasses`` is the swatch of their frame."""
        self.person = person
        self._atlas = skin.paint_atlas(person.complexion)
        self._around = [*_surroundings(person), *([] if glasses is None else _glasses(glasses))]

    def show(
        self,
        actions: tuple[Action, ...],
        *,
        gaze_mm: tuple[float, float] = (0.0, 0.0),
        hand_at: tuple[float, float, float] | None = None,
    ) -> HeadMesh:
        """The person showing ``actions``; ``hand_at`` (mm) is the centre of a hand that hides part of the face."""
        mesh, person = plan_mesh(), self.person
        face = _face_points(person, actions)
        points, faces, uv = [face], [mesh.faces], [_face_uv(face, person, gaze_mm)]
        first = len(face)
        material = [np.full(len(mesh.faces), FACE, np.int8)]
        hand = [] if hand_at is None else [_ellipsoid(hand_at, (46, 19, 12), skin.NECK_SWATCH)]
        for piece in (*self._around, *hand):
            points.append(piece.points * np.asarray(person.scale))
            faces.append(piece.faces + first)
            uv.append(piece.uv[piece.faces])
            material.append(np.full(len(piece.faces), piece.material, np.int8))
            first += len(piece.points)
        return HeadMesh(
            points=np.vstack(points),
            faces=np.vstack(faces).astype(np.int32),
            uv_corners=np.vstack(uv),
            dimming=np.concatenate([_face_dimming(), np.full(first - len(face), 0.95)]),
            atlas=wrinkled(self._atlas, activations=mean_activations(actions), age=person.complexion.age),
            material=np.concatenate(material),
            face_faces=len(mesh.faces),
        )
