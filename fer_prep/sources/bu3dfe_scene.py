"""One BU-3DFE recording from its files to a scene, coloured by texture or by photograph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.faces.landmarks import LandmarkFinder, make_finder
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.images import read_rgb
from fer_prep.formats.vrml import VrmlMesh, read_vrml
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.mesh_scene import MeshScene
from fer_prep.geometry.photo_scene import PhotoScene
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.sample import Point, PointSet, Sample, Scene
from fer_prep.sources.bu3dfe_landmarks import SCHEME, SCHEME_NAMES, landmarks_on_mesh, named_points
from fer_prep.sources.read_file import read_file

SMALLEST_MM, LARGEST_MM = 50.0, 1000.0
"""The extent of a face mesh in millimetres; anything else is in another unit, or damaged."""

SMALLEST_TEXTURE_PIXELS: Final = 8
"""On each side; a texture of fewer pixels is a stand-in that shows no face."""

Way = Literal["texture", "photo"]


def load_scene(sample: Sample, *, rgb: Way, renderer: str) -> Scene:
    """Read the mesh, its landmarks and its picture; raises FormatError or SampleError naming the file.

    Where the inputs of the wanted way to colour are missing (or the texture is too small to show anything), the other
    is taken; the scene's ``rgb_source`` says which.
    """
    mesh = read_file(sample.files["mesh"], reader=read_vrml)
    _check_extent(mesh, sample)
    marked = None
    if "landmarks" in sample.files:
        bnd = read_file(sample.files["landmarks"], reader=read_bnd)
        marked = landmarks_on_mesh(bnd, vertices_mm=mesh.vertices, path=sample.files["landmarks"])
    named = {} if marked is None else named_points(marked.points_mm, vertices_mm=mesh.vertices)
    scene = _scene(mesh, sample=sample, rgb=rgb, landmarks_mm=named, cast=choose_renderer(renderer))
    if marked is not None:
        scene.schemes = {
            SCHEME: PointSet(
                names=SCHEME_NAMES,
                points_px=scene.project(marked.points_mm),
                points_mm=marked.points_mm,
                vertex=marked.vertex,
            )
        }
    return scene


def _scene(
    mesh: VrmlMesh, *, sample: Sample, rgb: Way, landmarks_mm: Mapping[str, NDArray[np.float64]], cast: Renderer
) -> CastScene:
    """The mesh with the colour that is wanted and can be had."""
    has_photo = "photo" in sample.files
    texture = _texture(sample) if mesh.uv_corners is not None and (rgb == "texture" or not has_photo) else None
    if texture is not None and mesh.uv_corners is not None:
        return MeshScene(
            mesh.vertices,
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
    return PhotoScene(
        mesh.vertices,
        faces=mesh.faces,
        photo=read_file(sample.files["photo"], reader=read_rgb),
        landmarks_mm=landmarks_mm,
        find_points=partial(_points_in_photo, sample=sample),
        renderer=cast,
    )


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
    landmarks = _finder().find(scene, sample=sample)
    return {} if landmarks is None else landmarks.points


@cache
def _finder() -> LandmarkFinder:
    """One finder per process: its model takes a while to load."""
    return make_finder("mediapipe")


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
