"""Pictures, depth maps and light-baked textures of a head, by the geometry's own renderer that needs no library."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.camera import AffineCamera, Camera
from fer_prep.geometry.hits import Surface, cast
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.renderers import choose_renderer
from fer_prep.sample_data.camera import Camera as Lens
from fer_prep.sample_data.head import HeadMesh
from fer_prep.sample_data.studio import Lighting

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class View:
    """What a camera sees of a head on a raster of ``shape`` (H, W), the upper left part of the surface's square."""

    surface: Surface
    faces: NDArray[np.intp]
    """(M,) which of the head's triangles each seen pixel shows."""
    shape: tuple[int, int]

    def distance_mm(self) -> Array:
        """(H, W) distance along the camera axis at the pixel centres; NaN where nothing is."""
        height, width = self.shape
        return -self.surface.height_map()[:height, :width].astype(np.float64)


def see(head: HeadMesh, *, posed: Array, lens: Lens, finer: int = 1) -> View:
    """What ``lens`` sees of ``head`` with its points moved to ``posed`` (V, 3), on a raster ``finer`` times as fine."""
    width, height = (finer * length for length in lens.size)
    return look(head, posed=posed, camera=lens.central().seen_through(np.eye(2, 3) * finer), shape=(height, width))


def look(head: HeadMesh, *, posed: Array, camera: Camera, shape: tuple[int, int]) -> View:
    """What ``camera`` sees of ``head`` with its points moved to ``posed`` (V, 3), on a raster of ``shape`` (H, W)."""
    surface, faces = _cast(head, posed=posed, points=posed, camera=camera, faces=head.faces, size=max(shape))
    return View(surface=surface, faces=faces[surface.triangles], shape=shape)


def _cast(
    head: HeadMesh, *, posed: Array, points: Array, camera: Camera, faces: NDArray[np.int32], size: int
) -> tuple[Surface, NDArray[np.intp]]:
    """The front of the mesh of ``points``, and which triangles it is.

    The attributes are u and v in atlas pixels, the normal and the dimming.
    """
    (ax, bx, cx), (ay, by, cy) = (np.take(places, faces.T) for places in camera.screen(points).T[:2])
    # y points down, so what is counter-clockwise for the mesh is clockwise, of negative area, in the picture
    front = np.flatnonzero((bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < -1e-9)
    corners = head.faces[front].T
    at_vertices = [np.take(values, corners) for values in (*_normals(posed, head.faces), head.dimming)]
    attributes = np.stack([*head.uv_corners[front].T, *at_vertices])  # (6, 3, F)
    mesh = TriangleMesh(vertices_mm=points, faces=faces[front])
    surface = cast(mesh, camera=camera, size=size, renderer=choose_renderer("numpy"), attributes=attributes)
    return surface, front


def _normals(points: Array, faces: NDArray[np.int32]) -> list[Array]:
    """x, y and z (V,) of the vertices' normals: sums of those of their triangles, larger triangles counting more."""
    a, b, c = (np.take(points, corner, axis=0) for corner in faces.T)
    around = np.cross(b - a, c - a)
    corners = faces.T.ravel()
    return [np.bincount(corners, np.tile(along, 3), len(points)).astype(np.float64) for along in around.T]


def paint(view: View, head: HeadMesh, *, light: Lighting, background: Array) -> Array:
    """(H, W, 3) sRGB 0…1 at the size of ``background`` (H, W, 3), over it."""
    height, width = view.shape
    picture = np.zeros((*view.surface.valid.shape, 3))
    picture[:height, :width] = cv2.resize(background, (width, height), interpolation=cv2.INTER_LINEAR)
    picture[view.surface.valid] = colours(view.surface, head, light=light)
    small = cv2.resize(picture[:height, :width], background.shape[1::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64)


def bake_texture(head: HeadMesh, *, posed: Array, light: Lighting) -> Array:
    """(512, 640, 3) sRGB 0…1: the atlas of the face with the light of the moment on it."""
    # the mesh is spread out over its own texture: every triangle corner becomes a vertex
    corners = head.uv_corners[: head.face_faces].reshape(-1, 2)
    spread = np.column_stack([corners, np.zeros(len(corners))])
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    atlas = AffineCamera(projection=np.eye(2, 4), toward=np.array([0.0, 0.0, 1.0]))
    height, width = head.atlas.shape[:2]
    surface, _ = _cast(head, posed=posed, points=spread, camera=atlas, faces=faces, size=max(height, width))
    baked = np.zeros((*surface.valid.shape, 3))
    baked[:height, :width] = head.atlas
    baked[surface.valid] = colours(surface, head, light=light)
    return baked[:height, :width]


def colours(surface: Surface, head: HeadMesh, *, light: Lighting) -> Array:
    """(M, 3) sRGB 0…1 of what is seen: the atlas's colour in the light of the moment."""
    u, v, *normal, dimming = surface.attributes
    places = np.zeros((2, *surface.valid.shape), np.float32)
    places[:, surface.valid] = np.stack([u, v]) - 0.5
    painted = cv2.remap(head.atlas, places[0], places[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    normals = np.stack(normal, axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return _shaded(np.asarray(painted, np.float64)[surface.valid], normals=normals, dimming=dimming, light=light)


def _shaded(albedo: Array, *, normals: Array, dimming: Array, light: Lighting) -> Array:
    """(M, 3) sRGB 0…1 of points with sRGB ``albedo`` (M, 3), unit ``normals`` and ``dimming`` (M,) by occlusion."""
    # half-wrapped Lambert: skin scatters light past the terminator
    key, fill = (np.clip((normals @ towards + 0.25) / 1.25, 0, None) for towards in (light.key_from, light.fill_from))
    sky = 0.5 + 0.5 * normals[:, 1]
    strength = light.key * key + light.fill * fill + light.ambient * (0.65 + 0.35 * sky)
    halfway = light.key_from + np.array([0.0, 0.0, 1.0])
    gloss = light.gloss * np.clip(normals @ (halfway / np.linalg.norm(halfway)), 0, None) ** 16
    # a gamma of 2 stands in for sRGB's curve: squares and roots are fast
    linear = albedo**2 * ((strength * dimming)[:, None] * light.tint) + (gloss * dimming)[:, None]
    return np.sqrt(np.clip(linear, 0, 1))


def to_bytes(picture: Array) -> NDArray[np.uint8]:
    """(H, W, 3) u8 of an sRGB 0…1 picture."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
