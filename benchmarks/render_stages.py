"""The stages of one recording: files → arrays → colour and depth on the same rays → PNG files, each callable alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_prep.depth_encoding import encode_depth
from fer_prep.formats.bnt import RangeGrid, read_bnt
from fer_prep.formats.images import read_rgb, write_image
from fer_prep.formats.vrml import VrmlMesh, read_vrml
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.geometry.mesh_scene import MeshScene
from fer_prep.geometry.renderers import Renderer
from fer_prep.sample import Frame

SIZE = 512


@dataclass(frozen=True)
class Recording:
    """One recording of either dataset: its geometry file and its picture."""

    dataset: str
    geometry: Path
    picture: Path

    def read(self) -> tuple[VrmlMesh | RangeGrid, np.ndarray]:
        """Files → arrays."""
        reader: Callable[[bytes], VrmlMesh | RangeGrid] = read_vrml if self.dataset == "bu3dfe" else read_bnt
        return reader(self.geometry.read_bytes()), read_rgb(self.picture.read_bytes())


def recordings(root: Path) -> dict[str, list[Recording]]:
    """Whole recordings below ``root``, by dataset."""
    found: dict[str, list[Recording]] = {"bu3dfe": [], "bosphorus": []}
    for dataset, pattern, suffix in (("bu3dfe", "*_F3D.wrl", ".bmp"), ("bosphorus", "bs*.bnt", ".png")):
        for geometry in sorted(root.rglob(pattern)):
            if geometry.with_suffix(suffix).is_file():
                found[dataset].append(Recording(dataset, geometry, geometry.with_suffix(suffix)))
    return {dataset: items for dataset, items in found.items() if items}


def see(shape: VrmlMesh | RangeGrid, picture: np.ndarray, *, renderer: Renderer) -> Frame:
    """Arrays → the frontal frame."""
    if isinstance(shape, RangeGrid):
        scene: GridScene | MeshScene = GridScene(
            shape.points_mm,
            image_uv=shape.image_uv,
            valid=shape.valid,
            picture=picture,
            landmarks_mm={},
            renderer=renderer,
        )
    elif shape.uv_corners is None:
        raise ValueError("a mesh without texture coordinates cannot be timed")
    else:
        scene = MeshScene(
            shape.vertices,
            faces=shape.faces,
            uv_corners=shape.uv_corners,
            texture=picture,
            landmarks_mm={},
            renderer=renderer,
        )
    return scene.view(np.eye(2, 3), size=SIZE)


def encode(frame: Frame) -> int:
    """Frame → the bytes of two PNG files; how many they are."""
    depth, _ = encode_depth(frame.z_mm, frame.valid)
    return sum(len(write_image(pixels)) for pixels in (frame.rgb, depth))


def seconds(call: Callable) -> tuple[float, object]:
    """Processor seconds of a call, and its result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result
