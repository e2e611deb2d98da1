"""BU-3DFE: posed expressions in graded intensities; a cropped textured mesh, its landmarks and a photograph each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.formats.images import write_image
from fer_prep.sample_data.camera import Camera, head_rotation
from fer_prep.sample_data.expressions import emotion_actions
from fer_prep.sample_data.head import HeadMesh, Sitter, cropped
from fer_prep.sample_data.native_files import TextStyle, bnd_bytes, write_file, wrl_bytes
from fer_prep.sample_data.people import draw_person
from fer_prep.sample_data.plan_mesh import plan_mesh
from fer_prep.sample_data.rendering import bake_texture, paint, see, to_bytes
from fer_prep.sample_data.studio import draw_lighting, plain_background, through_lens
from fer_prep.sample_data.truth import TruthRow, truth_row

Array = NDArray[np.float64]

CODES: Final = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "SA": "sadness", "SU": "surprise"}
STRENGTHS: Final = {1: 0.45, 2: 0.65, 3: 0.85, 4: 1.05}
"""Intensity level in the file name → how far the expression goes."""
PICTURE_PX: Final = 512
PICTURE_DISTANCE_MM: Final = 1300.0
PIXELS_PER_MM: Final = 1.85
STYLES: Final = (TextStyle(), TextStyle(newline="\r\n"), TextStyle(index_comma=False), TextStyle(bnd_gap=" "))


def subject_name(index: int) -> str:
    """Women and men in turn, each numbered from one."""
    return f"{'FM'[index % 2]}{index // 2 + 1:04d}"


def _write_mesh(base: Path, head: HeadMesh, posed: Array, texture: Array, style: TextStyle) -> None:
    """F3D.wrl, F3D.bnd and F3D.bmp: the cropped mesh, landmark rows that point at its vertices, its texture."""
    mesh = plan_mesh()
    kept = cropped(head.points)
    faces = mesh.faces[kept]
    used, renumbered = np.unique(faces, return_inverse=True)
    # a vertex on a lid or lip edge has one place on the skin and another on what it frames
    _, first, uv_faces = np.unique(
        faces + mesh.part[kept, None].astype(np.int64) * len(mesh.xy), return_index=True, return_inverse=True
    )
    corners = head.uv_corners[: len(mesh.faces)][kept].reshape(-1, 2)[first]
    height, width = texture.shape[:2]
    uv = np.column_stack([corners[:, 0] / width, 1 - corners[:, 1] / height])
    points = np.round(posed[used], 5)
    rows = np.searchsorted(used, mesh.landmarks)
    name = f"{base.name}_F3D"
    content = wrl_bytes(
        points,
        renumbered.reshape(-1, 3).astype(np.int32),
        uv=uv,
        uv_faces=uv_faces.reshape(-1, 3).astype(np.int32),
        texture=f"{name}.bmp",
        style=style,
    )
    write_file(base.with_name(f"{name}.wrl"), content)
    write_file(base.with_name(f"{name}.bnd"), bnd_bytes(rows, points[rows], style=style))
    write_file(base.with_name(f"{name}.bmp"), write_image(to_bytes(texture), kind="bmp"))


def _camera(rng: np.random.Generator) -> Camera:
    """The camera of the photograph: near enough to a portrait lens, not quite centred."""
    centre = (256.0 + rng.normal(0, 6), 250.0 + rng.normal(0, 6))
    return Camera(
        distance_mm=PICTURE_DISTANCE_MM,
        focal_px=PICTURE_DISTANCE_MM * PIXELS_PER_MM,
        centre_px=centre,
        size=(PICTURE_PX, PICTURE_PX),
    )


def write_scan(base: Path, head: HeadMesh, style: TextStyle, rng: np.random.Generator) -> tuple[Array, Camera]:
    """Write the four files of one scan; returns the head's points (V, 3) as posed, and the photograph's camera."""
    light = draw_lighting(rng, variety=0.15)
    yaw, pitch, roll = rng.normal(0, (1.5, 1.5, 1.2))
    posed = head.points @ head_rotation(yaw_degrees=yaw, pitch_degrees=pitch, roll_degrees=roll).T
    posed = posed + np.array([0.0, 20.0, 0.0]) + rng.normal(0, (2, 4, 3))
    _write_mesh(base, head, posed, bake_texture(head, posed=posed, light=light), style)
    camera = _camera(rng)
    background = plain_background(rng, size=camera.size)
    picture = paint(see(head, posed=posed, lens=camera), head, light=light, background=background)
    picture = through_lens(picture, blur_px=0.7, noise=0.006, rng=rng)
    write_file(base.with_name(f"{base.name}_F2D.bmp"), write_image(to_bytes(picture), kind="bmp"))
    return posed, camera


def write_subject(root: Path, index: int, *, rng: np.random.Generator, intensities: tuple[int, ...]) -> list[TruthRow]:
    """Write all scans of one person below ``root``/BU3DFE and return their truth."""
    subject = subject_name(index)
    person = draw_person(subject[0], rng=rng)
    sitter = Sitter(person)
    folder = root / "BU3DFE" / subject
    rows: list[TruthRow] = []
    for code, level in [("NE", 0), *((code, level) for code in CODES for level in intensities)]:
        emotion = CODES.get(code, "neutral")
        actions = emotion_actions(emotion, strength=STRENGTHS.get(level, 1.0), style=person.style, rng=rng)
        head = sitter.show(actions)
        sample = f"{subject}_{code}{level:02d}{person.ethnicity}"
        posed, camera = write_scan(folder / sample, head, STYLES[index % len(STYLES)], rng)
        row = truth_row(
            dataset="bu3dfe",
            sample=sample,
            subject=subject,
            gender=person.gender,
            ethnicity=person.ethnicity,
            emotion=emotion,
            code=code,
            intensity=level,
            actions=actions,
            picture=f"BU3DFE/{subject}/{sample}_F2D.bmp",
            camera=camera,
            posed=posed,
        )
        rows.append(row)
    return rows
