"""Pictures, depth maps and light-baked textures of a head."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.camera import Camera
from fer_prep.sample_data.head import HeadMesh
from fer_prep.sample_data.rasteriser import Visible, rasterise, vertex_normals
from fer_prep.sample_data.shading import Lighting, sample_atlas, shade

Array = NDArray[np.float64]


def _colours(seen: Visible, head: HeadMesh, *, faces: NDArray[np.int32], normals: Array, light: Lighting) -> Array:
    albedo = sample_atlas(head.atlas, seen.interpolate_corners(head.uv_corners))
    surface = seen.interpolate(np.column_stack([normals, head.dimming]), faces)
    return shade(albedo, normals=surface[:, :3], dimming=surface[:, 3], light=light)


def see(head: HeadMesh, *, posed: Array, camera: Camera, supersampling: int = 1) -> Visible:
    """What ``camera`` sees of ``head`` with its points moved to ``posed`` (V, 3), ``supersampling`` times finer."""
    width, height = camera.size
    return rasterise(
        camera.project(posed) * supersampling,
        head.faces,
        inverse_depth=1 / camera.range_mm(posed),
        shape=(height * supersampling, width * supersampling),
    )


def paint(seen: Visible, head: HeadMesh, *, posed: Array, light: Lighting, background: Array) -> Array:
    """(H, W, 3) sRGB 0…1 at the size of ``background`` (H, W, 3), over it."""
    normals = vertex_normals(posed, head.faces)
    colours = _colours(seen, head, faces=head.faces, normals=normals, light=light)
    large = cv2.resize(background, seen.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(-1, 3)
    large[seen.pixel] = colours
    small = cv2.resize(large.reshape(*seen.shape, 3), background.shape[1::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64)


def bake_texture(head: HeadMesh, *, posed: Array, light: Lighting) -> NDArray[np.float64]:
    """(512, 640, 3) sRGB 0…1: the atlas of the face with the light of the moment on it."""
    faces = head.faces[: head.face_faces]
    normals = vertex_normals(posed, head.faces)
    # spread the mesh out over its own texture: every triangle corner becomes a vertex
    corners = np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)
    uv = head.uv_corners[: len(faces)].reshape(-1, 2)
    baked = head.atlas.astype(np.float64).copy()
    seen = rasterise(uv, corners, inverse_depth=np.ones(len(uv)), shape=baked.shape[:2], front_only=False)
    baked.reshape(-1, 3)[seen.pixel] = _colours(seen, head, faces=faces, normals=normals, light=light)
    return baked


def distance_image(seen: Visible, head: HeadMesh, *, distance_mm: Array) -> Array:
    """(H, W) distance along the camera axis at the pixel centres, from the vertices' (V,); NaN where nothing is."""
    values = seen.interpolate(distance_mm[:, None], head.faces)
    return seen.image(values, background=np.nan)[..., 0]


def to_bytes(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(H, W, 3) u8 of an sRGB 0…1 picture."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
