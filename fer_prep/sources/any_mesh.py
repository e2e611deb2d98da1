"""A mesh of any scanner from its file to a scene: coloured where the file has colour, of depth alone where not."""

from __future__ import annotations

from fer_prep.formats.surface_file import read_surface
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.renderers import choose_renderer
from fer_prep.geometry.turns import set_upright_by
from fer_prep.geometry.vertex_scene import surface_scene
from fer_prep.sample import Sample
from fer_prep.sources.face_frame import UNITS_MM, find_frame, no_face


def load_mesh(sample: Sample, *, renderer: str) -> CastScene:
    """The mesh of ``sample`` set upright, in millimetres; raises FormatError or SampleError naming the file."""
    path = sample.files["mesh"]
    surface = read_surface(path)
    scene = surface_scene(
        surface.vertices,
        faces=surface.faces,
        uv_corners=surface.uv_corners,
        texture=surface.texture,
        colours=surface.colours,
        renderer=choose_renderer(renderer),
    )
    frame = find_frame(scene, path=path, sample=sample)
    if frame is None:
        raise no_face(path, found="none")
    turn, unit = frame
    upright = scene.turned(turn * UNITS_MM[unit])
    upright.set_right = {"measured in": unit, **set_upright_by(turn)}
    return upright
