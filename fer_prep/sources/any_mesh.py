"""A mesh of any scanner from its file to a scene: coloured where the file has colour, of depth alone where not."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from fer_prep.formats.surface_file import SurfaceFile, read_surface
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.mesh_scene import MeshScene
from fer_prep.geometry.renderers import Renderer, choose_renderer
from fer_prep.geometry.vertex_scene import VertexScene, clay
from fer_prep.sample import Sample
from fer_prep.sources.face_frame import FaceFrame, find_frame, no_face


def load_mesh(sample: Sample, *, renderer: str) -> tuple[CastScene, FaceFrame]:
    """The mesh of ``sample`` set upright, in millimetres; raises FormatError or SampleError naming the file."""
    surface = read_surface(sample.files["mesh"])
    scene_of = partial(_scene, surface, cast=choose_renderer(renderer))
    frame = find_frame(lambda turn: scene_of(surface.vertices @ turn.T), path=sample.files["mesh"], sample=sample)
    if frame is None:
        raise no_face(sample.files["mesh"], found="none")
    return scene_of(frame.apply(surface.vertices)), frame


def _scene(surface: SurfaceFile, vertices: NDArray[np.float64], *, cast: Renderer) -> CastScene:
    if surface.texture is not None and surface.uv_corners is not None:
        return MeshScene(
            vertices,
            faces=surface.faces,
            uv_corners=surface.uv_corners,
            texture=surface.texture,
            landmarks_mm={},
            renderer=cast,
        )
    colours = clay(vertices, faces=surface.faces) if surface.colours is None else surface.colours
    return VertexScene(vertices, faces=surface.faces, colours=colours, landmarks_mm={}, renderer=cast)
