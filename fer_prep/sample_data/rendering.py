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


def render_picture(
    head: HeadMesh,
    *,
    posed: Array,
    camera: Camera,
    light: Lighting,
    background: NDArray[np.float64],
    supersampling: int,
) -> NDArray[np.float64]:
    """(H, W, 3) sRGB 0…1: ``head`` with its points moved to ``posed`` (V, 3), over ``background`` (H, W, 3)."""
    width, height = camera.size
    shape = (height * supersampling, width * supersampling)
    pixels = camera.project(posed) * supersampling
    seen = rasterise(pixels, head.faces, inverse_depth=1 / camera.range_mm(posed), shape=shape)
    normals = vertex_normals(posed, head.faces)
    colours = _colours(seen, head, faces=head.faces, normals=normals, light=light)
    large = cv2.resize(background, shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(-1, 3)
    large[seen.pixel] = colours
    return cv2.resize(large.reshape(*shape, 3), (width, height), interpolation=cv2.INTER_AREA)


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


def range_map(head: HeadMesh, *, posed: Array, pixels: Array, distance_mm: Array, shape: tuple[int, int]) -> Array:
    """(H, W, 4) x, y, z in mm and distance along the camera axis at the pixel centres; NaN where nothing is.

    ``posed`` (V, 3) mm, ``pixels`` (V, 2) and ``distance_mm`` (V,) are the vertices in the camera's terms.
    """
    seen = rasterise(pixels, head.faces, inverse_depth=1 / distance_mm, shape=shape)
    values = np.column_stack([posed, distance_mm])
    return seen.image(seen.interpolate(values, head.faces), background=np.nan)


def to_bytes(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(H, W, 3) u8 of an sRGB 0…1 picture."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
