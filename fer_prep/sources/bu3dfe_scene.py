"""One BU-3DFE recording from its files to a scene, coloured by texture or by photograph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import SampleError
from fer_prep.faces.landmarks import LandmarkFinder, make_finder
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.pictures import read_rgb
from fer_prep.formats.vrml import VrmlMesh, read_vrml
from fer_prep.geometry.mesh_scene import MeshScene
from fer_prep.geometry.photo_scene import PhotoScene
from fer_prep.geometry.renderers import choose_renderer
from fer_prep.sample import Point, Sample, Scene
from fer_prep.sources.bu3dfe_landmarks import landmarks_on_mesh
from fer_prep.sources.read_file import read_file

SMALLEST_MM, LARGEST_MM = 50.0, 1000.0
"""The extent of a face mesh in millimetres; anything else is in another unit, or damaged."""

Way = Literal["texture", "photo"]
_OTHER: Final[dict[Way, Way]] = {"texture": "photo", "photo": "texture"}


def load_scene(sample: Sample, *, rgb: Way, renderer: str) -> Scene:
    """Read the mesh, its landmarks and its picture; raises FormatError or SampleError naming the file.

    Where the inputs of the wanted way to colour are missing, the other is taken; the scene's ``rgb_source`` says which.
    """
    mesh = read_file(sample.files["mesh"], reader=read_vrml)
    _check_extent(mesh, sample)
    landmarks_mm = {}
    if "landmarks" in sample.files:
        bnd = read_file(sample.files["landmarks"], reader=read_bnd)
        landmarks_mm = landmarks_on_mesh(bnd, vertices_mm=mesh.vertices, path=sample.files["landmarks"])
    possible = {"texture": "texture" in sample.files and mesh.uv_corners is not None, "photo": "photo" in sample.files}
    way = rgb if possible[rgb] else _OTHER[rgb]
    if not possible[way]:
        raise SampleError(
            stage="read",
            path=sample.files["mesh"],
            expected="texture coordinates in the mesh and its _F3D.bmp, or a photograph _F2D.bmp",
            found="neither",
        )
    cast = choose_renderer(renderer)
    if way == "photo" or mesh.uv_corners is None:
        return PhotoScene(
            mesh.vertices,
            faces=mesh.faces,
            photo=read_file(sample.files["photo"], reader=read_rgb),
            landmarks_mm=landmarks_mm,
            find_points=partial(_points_in_photo, sample=sample),
            renderer=cast,
        )
    return MeshScene(
        mesh.vertices,
        faces=mesh.faces,
        uv_corners=mesh.uv_corners,
        texture=read_file(sample.files["texture"], reader=read_rgb),
        landmarks_mm=landmarks_mm,
        renderer=cast,
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
            path=sample.files["mesh"],
            expected=f"a face mesh of {SMALLEST_MM:.0f} to {LARGEST_MM:.0f} mm",
            found=f"an extent of {extent:.4g}",
        )
