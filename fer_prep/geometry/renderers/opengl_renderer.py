"""OpenGL off screen, in a context that pyrender makes (EGL, or OSMesa where ``PYOPENGL_PLATFORM=osmesa`` asks for it).

The fragment shader writes the number of its triangle into an integer raster. So the answer is the same as a ray
caster's, and colour and height come from the triangle itself, not from a quantised depth buffer. Vertices are put on
the screen in float64 beforehand: no projection matrix, no near plane, no multisampling (which would move the sample
away from the pixel's centre).

What remains of the graphics card is that it moves vertices to a grid of 1/256 of a pixel. A centre that lies nearer
than that to an outline may see what is behind it: about one pixel of a face, off by the whole step in depth.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_VERTEX_SHADER: Final = """#version 330 core
layout(location = 0) in vec3 place;
void main() { gl_Position = vec4(place, 1.0); }
"""
_FRAGMENT_SHADER: Final = """#version 330 core
layout(location = 0) out int triangle;
void main() { triangle = gl_PrimitiveID; }
"""


class OpenGlRenderer:
    """OpenGL behind the renderer seam, in a context of this process and thread: it is to be used where it was made."""

    name = "opengl"

    def __init__(self) -> None:
        os.environ.setdefault("PYOPENGL_PLATFORM", "egl")  # must be there before OpenGL is first imported
        os.environ.setdefault("LP_NUM_THREADS", "1")  # software Mesa: parallelism is the engine's affair
        self._context = _new_context()
        self._context.make_current()
        self._program = _build_program()

    def first_hits(self, screen: NDArray[np.float64], *, faces: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """(size, size) index of the nearest triangle at each pixel centre, −1 where there is none."""
        if not len(faces):
            return np.full((size, size), -1, np.int32)
        self._context.make_current()
        places = _on_screen(screen, faces, size=size)
        return _draw(self._program, places=places, faces=np.ascontiguousarray(faces, np.uint32), size=size)


def _draw(program: int, *, places: NDArray[np.float32], faces: NDArray[np.uint32], size: int) -> NDArray[np.int32]:
    from OpenGL import GL as gl

    target, buffers = gl.glGenFramebuffers(1), gl.glGenRenderbuffers(2)
    array, data = gl.glGenVertexArrays(1), gl.glGenBuffers(2)
    try:
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, target)
        for buffer, kind, slot in zip(
            buffers,
            (gl.GL_R32I, gl.GL_DEPTH_COMPONENT32F),
            (gl.GL_COLOR_ATTACHMENT0, gl.GL_DEPTH_ATTACHMENT),
            strict=True,
        ):
            gl.glBindRenderbuffer(gl.GL_RENDERBUFFER, buffer)
            gl.glRenderbufferStorage(gl.GL_RENDERBUFFER, kind, size, size)
            gl.glFramebufferRenderbuffer(gl.GL_FRAMEBUFFER, slot, gl.GL_RENDERBUFFER, buffer)
        _fill_buffers(array, data, places, faces)
        _draw_triangles(program, size=size, count=faces.size)
        found = np.empty((size, size), np.int32)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 4)
        gl.glReadPixels(0, 0, size, size, gl.GL_RED_INTEGER, gl.GL_INT, found)
        return found
    finally:
        gl.glDeleteFramebuffers(1, [target])
        gl.glDeleteRenderbuffers(2, buffers)
        gl.glDeleteVertexArrays(1, [array])
        gl.glDeleteBuffers(2, data)


def _new_context() -> Any:
    """An off-screen context of pyrender's making; raises whatever the driver raises where there is none."""
    if os.environ["PYOPENGL_PLATFORM"] == "osmesa":
        from pyrender.platforms.osmesa import OSMesaPlatform

        context: Any = OSMesaPlatform(64, 64)
    else:
        from pyrender.platforms.egl import EGLPlatform

        context = EGLPlatform(64, 64)
    context.init_context()
    return context


def _build_program() -> int:
    from OpenGL import GL as gl
    from OpenGL.GL import shaders

    vertex = shaders.compileShader(_VERTEX_SHADER, gl.GL_VERTEX_SHADER)
    fragment = shaders.compileShader(_FRAGMENT_SHADER, gl.GL_FRAGMENT_SHADER)
    return shaders.compileProgram(vertex, fragment, validate=False)


def _on_screen(screen: NDArray[np.float64], faces: NDArray[np.int32], *, size: int) -> NDArray[np.float32]:
    """(V, 3) float32 device coordinates: the first pixel row at y = −1, so that it is read back first."""
    nearness = screen[:, 2]
    used = nearness[faces.ravel()]
    nearest, furthest = used.max(), used.min()
    depth = 0.9 * (1.0 - 2.0 * (nearness - furthest) / max(nearest - furthest, 1e-12))
    places = np.column_stack([2.0 * screen[:, :2] / size - 1.0, depth])
    return np.ascontiguousarray(np.nan_to_num(places), np.float32)


def _fill_buffers(array: int, data: Any, places: NDArray[np.float32], faces: NDArray[np.uint32]) -> None:
    from OpenGL import GL as gl

    gl.glBindVertexArray(array)
    gl.glBindBuffer(gl.GL_ARRAY_BUFFER, data[0])
    gl.glBufferData(gl.GL_ARRAY_BUFFER, places.nbytes, places, gl.GL_STREAM_DRAW)
    gl.glEnableVertexAttribArray(0)
    gl.glVertexAttribPointer(0, 3, gl.GL_FLOAT, gl.GL_FALSE, 0, None)
    gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, data[1])
    gl.glBufferData(gl.GL_ELEMENT_ARRAY_BUFFER, faces.nbytes, faces, gl.GL_STREAM_DRAW)


def _draw_triangles(program: int, *, size: int, count: int) -> None:
    from OpenGL import GL as gl

    gl.glViewport(0, 0, size, size)
    gl.glDisable(gl.GL_MULTISAMPLE)
    gl.glDisable(gl.GL_CULL_FACE)
    gl.glEnable(gl.GL_DEPTH_TEST)
    gl.glClearBufferiv(gl.GL_COLOR, 0, np.full(4, -1, np.int32))
    gl.glClearBufferfv(gl.GL_DEPTH, 0, np.ones(1, np.float32))
    gl.glUseProgram(program)
    gl.glDrawElements(gl.GL_TRIANGLES, count, gl.GL_UNSIGNED_INT, None)
