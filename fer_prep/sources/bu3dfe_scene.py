"""One BU-3DFE recording from its files to a scene, coloured by texture or by photograph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError, Reason, SampleError
from fer_prep.faces.mediapipe_finder import FACE_OVAL, MediapipeFinder
from fer_prep.faces.mediapipe_finder import SCHEME as MEDIAPIPE
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.images import read_rgb
from fer_prep.formats.vrml import VrmlMesh, read_vrml
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.photo_scene import PhotoScene
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.geometry.turns import set_upright_by
from fer_prep.geometry.vertex_scene import surface_scene
from fer_prep.sample import Point, Sample, Scene
from fer_prep.sources.bu3dfe_landmarks import SCHEME, SCHEME_NAMES, marked_mesh, named_points, rows_as_called
from fer_prep.sources.bu3dfe_raw import raw_in_place
from fer_prep.sources.face_frame import find_frame, points_found_on
from fer_prep.sources.landmark_sides import SIDES_EXCHANGED, sides_are_exchanged
from fer_prep.sources.marked_face import upright_turn
from fer_prep.sources.read_file import read_file

SMALLEST_MM, LARGEST_MM = 50.0, 1000.0
"""The extent of a face mesh in millimetres; anything else is in another unit, or damaged."""

SMALLEST_TEXTURE_PIXELS: Final = 8
"""On each side; a texture of fewer pixels is a stand-in that shows no face."""

Way = Literal["texture", "photo"]


def load_scene(sample: Sample, *, rgb: Way, renderer: str) -> Scene:
    """Read the mesh, its landmarks and its picture; raises FormatError or SampleError naming the file.

    Of a sample with a ``raw`` file that mesh is shown, in the frame of the other, with the other's landmarks.
    Where the inputs of the wanted way to colour are missing (or the texture is too small to show anything), the other
    is taken; the scene's ``rgb_source`` says which. A mesh that an exporter turned is set upright by its landmarks, or
    by the face that is found on it.
    """
    mesh = read_file(sample.files["mesh"], reader=read_vrml)
    _check_extent(mesh, sample)
    scene_of = partial(_scene, mesh, sample=sample, rgb=rgb, cast=choose_renderer(renderer))
    if "landmarks" in sample.files:
        scene = _marked_scene(mesh, sample=sample, scene_of=scene_of)
    else:
        scene = scene_of(mesh.vertices, landmarks_mm={})
        frame = None
        if not isinstance(scene, PhotoScene):
            frame = find_frame(scene, path=sample.files["mesh"], sample=sample)
        if frame is not None:
            turn, _ = frame
            scene = scene.turned(turn)
            scene.set_right = set_upright_by(turn)
    if mesh.left_out:
        scene.set_right = {**scene.set_right, "shown without": ", ".join(mesh.left_out)}
    return _raw_scene(scene, sample=sample, rgb=rgb, renderer=renderer) if "raw" in sample.files else scene


def _raw_scene(onto: CastScene, *, sample: Sample, rgb: Way, renderer: str) -> CastScene:
    """The RAW mesh in the frame of the F3D mesh ``onto``."""
    mesh, cast = read_file(sample.files["raw"], reader=read_vrml), choose_renderer(renderer)
    bare = surface_scene(
        mesh.vertices, faces=mesh.faces, uv_corners=mesh.uv_corners, texture=_texture(sample), renderer=cast
    )
    vertices_mm, residual_mm = raw_in_place(bare, onto=onto, sample=sample)
    marks = onto.schemes.get(SCHEME)
    points_mm = None if marks is None else marks.points_mm
    named = {} if points_mm is None else named_points(points_mm, vertices_mm=onto.geometry.used_vertices_mm)
    scene = _scene(mesh, vertices_mm, sample=sample, rgb=rgb, landmarks_mm=named, cast=cast)
    scene.set_right = {**onto.set_right, "registered to the F3D mesh to": f"{residual_mm:.2f} mm"}
    if points_mm is not None:
        unknown = np.full(len(points_mm), -1, np.int32)
        scene.set_scheme(SCHEME, names=SCHEME_NAMES, points_mm=points_mm, vertex=unknown)
    return scene


def _marked_scene(mesh: VrmlMesh, *, sample: Sample, scene_of: Callable[..., CastScene]) -> CastScene:
    bnd = read_file(sample.files["landmarks"], reader=read_bnd)
    marked = marked_mesh(bnd, vertices_mm=mesh.vertices, path=sample.files["landmarks"])
    surface_mm = marked.vertices_mm[np.unique(mesh.faces)]
    named = rows_as_called(marked.points_mm)
    turn = upright_turn(named, surface_mm=surface_mm, path=sample.files["landmarks"])
    vertices_mm, points_mm = marked.vertices_mm @ turn.T, marked.points_mm @ turn.T
    scene = scene_of(vertices_mm, landmarks_mm=named_points(points_mm, vertices_mm=vertices_mm))
    scene.set_right = set_upright_by(turn @ marked.turn)
    if sides_are_exchanged(rows_as_called(points_mm)):
        scene.set_right |= SIDES_EXCHANGED
    scene.set_scheme(SCHEME, names=SCHEME_NAMES, points_mm=points_mm, vertex=marked.vertex)
    return scene


def _scene(
    mesh: VrmlMesh,
    vertices_mm: NDArray[np.float64],
    *,
    sample: Sample,
    rgb: Way,
    landmarks_mm: Mapping[str, NDArray[np.float64]],
    cast: Renderer,
) -> CastScene:
    """The mesh with the colour that is wanted and can be had."""
    has_photo = "photo" in sample.files
    texture = _texture(sample) if mesh.uv_corners is not None and (rgb == "texture" or not has_photo) else None
    if texture is not None and mesh.uv_corners is not None:
        return surface_scene(
            vertices_mm,
            faces=mesh.faces,
            uv_corners=mesh.uv_corners,
            texture=texture,
            landmarks_mm=landmarks_mm,
            renderer=cast,
        )
    if not has_photo:
        raise SampleError(
            stage="read",
            reason=Reason.NO_COLOUR,
            path=sample.files["mesh"],
            expected="texture coordinates in the mesh and its _F3D.bmp, or a photograph _F2D.bmp",
            found="neither",
        )
    photo = read_file(sample.files["photo"], reader=read_rgb)
    return PhotoScene(
        vertices_mm,
        faces=mesh.faces,
        photo=photo,
        landmarks_mm=landmarks_mm,
        found_px=_points_in_photo(photo, sample=sample),
        anchors_mm=_points_on_mesh(mesh, vertices_mm, sample=sample, cast=cast),
        outline=[mesh_point(k) for k in FACE_OVAL],
        renderer=cast,
    )


def _points_on_mesh(
    mesh: VrmlMesh, vertices_mm: NDArray[np.float64], *, sample: Sample, cast: Renderer
) -> dict[str, NDArray[np.float64]]:
    """MediaPipe's points as it finds them on the rendered mesh, name → (3,) mm: hundreds instead of a handful.

    Found by the same eyes as those in the photograph, they mean the same places. Empty where no face is found.
    """
    try:
        texture = _texture(sample)
    except FormatError:
        texture = None  # a photograph does without it: the face is found on grey clay
    scene = surface_scene(vertices_mm, faces=mesh.faces, uv_corners=mesh.uv_corners, texture=texture, renderer=cast)
    points_mm = points_found_on(scene, sample=sample)
    if points_mm is None:
        return {}
    return {mesh_point(k): point for k, point in enumerate(points_mm) if np.isfinite(point).all()}


def mesh_point(number: int) -> str:
    """The name of a point of MediaPipe's face mesh."""
    return f"mesh point {number}"


def _texture(sample: Sample) -> NDArray[np.uint8] | None:
    """The mesh's texture; None where there is none that shows anything, but a photograph to take instead."""
    if "texture" not in sample.files:
        return None
    texture = read_file(sample.files["texture"], reader=read_rgb)
    height, width = texture.shape[:2]
    if min(height, width) >= SMALLEST_TEXTURE_PIXELS:
        return texture
    if "photo" in sample.files:
        return None
    raise SampleError(
        stage="read",
        reason=Reason.NO_COLOUR,
        path=sample.files["texture"],
        expected=f"a texture of at least {SMALLEST_TEXTURE_PIXELS} × {SMALLEST_TEXTURE_PIXELS} pixels",
        found=f"{width} × {height}",
    )


def _points_in_photo(photo: NDArray[np.uint8], *, sample: Sample) -> Mapping[str, Point]:
    """Landmarks found in the photograph, by name; empty where no face is found."""
    nothing = np.zeros(photo.shape[:2], np.float32)
    scene = PictureScene(rgb=photo, z_mm=nothing, valid=nothing > 0)
    landmarks = MediapipeFinder().find(scene, sample=sample)
    if landmarks is None:
        return {}
    mesh = landmarks.schemes[MEDIAPIPE].points_px
    return {**landmarks.points, **{mesh_point(k): point for k, point in enumerate(mesh)}}


def _check_extent(mesh: VrmlMesh, sample: Sample) -> None:
    extent = float(np.ptp(mesh.vertices[mesh.faces.ravel()], axis=0).max())
    if not SMALLEST_MM <= extent <= LARGEST_MM:
        raise SampleError(
            stage="read",
            reason=Reason.IMPLAUSIBLE,
            path=sample.files["mesh"],
            expected=f"a face mesh of {SMALLEST_MM:.0f} to {LARGEST_MM:.0f} mm",
            found=f"an extent of {extent:.4g}",
        )
