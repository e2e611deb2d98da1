"""What one raw BU-3DFE mesh or Bosphorus scan costs on one core at 512 × 512, from its files to two written PNG files.

    OMP_NUM_THREADS=1 python -m benchmarks.render --root data/raw [--rounds 5] [--renderer open3d]

Stages: *read* (files → arrays), *geometry* (arrays → colour and depth on the same rays), *write* (depth to uint16, two
PNG files). Reported is the median over recordings of the least processor time in all rounds: what the work costs where
other programs on the machine disturb it least.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from fer_prep.depth_encoding import encode_depth
from fer_prep.formats.bnt import RangeGrid, read_bnt
from fer_prep.formats.images import read_rgb, write_image
from fer_prep.formats.vrml import VrmlMesh, read_vrml
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.geometry.mesh_scene import MeshScene
from fer_prep.geometry.renderers import DEFAULT_RENDERER, RENDERERS, Renderer, choose_renderer
from fer_prep.sample import Frame

SIZE = 512
GOALS_MS = {"bu3dfe": 80.0, "bosphorus": 60.0}
STAGES = ("read", "geometry", "write")
Result = TypeVar("Result")


def recordings(root: Path) -> dict[str, list[tuple[Path, Path]]]:
    """Geometry and picture of the whole recordings below ``root``, by dataset."""
    found: dict[str, list[tuple[Path, Path]]] = {"bu3dfe": [], "bosphorus": []}
    for dataset, pattern, suffix in (("bu3dfe", "*WH_F3D.wrl", ".bmp"), ("bosphorus", "bs*.bnt", ".png")):
        pairs = [(geometry, geometry.with_suffix(suffix)) for geometry in sorted(root.rglob(pattern))]
        found[dataset] = [pair for pair in pairs if pair[1].is_file()]
    return {dataset: pairs for dataset, pairs in found.items() if pairs}


def read(geometry: Path, picture: Path) -> tuple[VrmlMesh | RangeGrid, np.ndarray]:
    """Files → arrays."""
    reader = read_bnt if geometry.suffix == ".bnt" else read_vrml
    return reader(geometry.read_bytes()), read_rgb(picture.read_bytes())


def see(shape: VrmlMesh | RangeGrid, picture: np.ndarray, *, renderer: Renderer) -> Frame:
    """Arrays → the frontal frame."""
    scene: GridScene | MeshScene
    if isinstance(shape, RangeGrid):
        grid = {"image_uv": shape.image_uv, "valid": shape.valid, "picture": picture}
        scene = GridScene(shape.points_mm, **grid, landmarks_mm={}, renderer=renderer)
    else:
        mesh = {"faces": shape.faces, "uv_corners": shape.uv_corners, "texture": picture}
        scene = MeshScene(shape.vertices, **mesh, landmarks_mm={}, renderer=renderer)
    return scene.view(np.eye(2, 3), size=SIZE)


def write(frame: Frame, *, folder: Path) -> None:
    """Frame → two PNG files."""
    depth, _ = encode_depth(frame.z_mm, frame.valid)
    for name, pixels in (("rgb.png", frame.rgb), ("depth.png", depth)):
        (folder / name).write_bytes(write_image(pixels))


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Processor milliseconds of a call, and its result."""
    start = time.process_time()
    result = call()
    return 1e3 * (time.process_time() - start), result


def stages_ms(geometry: Path, picture: Path, *, renderer: Renderer, folder: Path) -> tuple[float, float, float]:
    """Processor milliseconds of each stage of one recording."""
    read_ms, (shape, colours) = timed(lambda: read(geometry, picture))
    geometry_ms, frame = timed(lambda: see(shape, colours, renderer=renderer))
    return read_ms, geometry_ms, timed(lambda: write(frame, folder=folder))[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw"), help="a folder with both trees below it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--renderer", default=DEFAULT_RENDERER, choices=list(RENDERERS))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    renderer = choose_renderer(options.renderer)
    print(
        f"{os.cpu_count()}-core CPU ({platform.machine()}), Python {platform.python_version()}, NumPy {np.__version__}"
    )
    print(f"renderer {renderer.name}, load before the start {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for dataset, pairs in recordings(options.root).items():
            rounds = [
                [stages_ms(*pair, renderer=renderer, folder=Path(folder)) for pair in pairs]
                for _ in range(options.rounds + 1)  # the first one warms up
            ]
            medians = np.median(np.min(rounds[1:], axis=0), axis=0)
            parts = "   ".join(f"{stage} {value:5.1f}" for stage, value in zip(STAGES, medians, strict=True))
            total, goal = medians.sum(), GOALS_MS[dataset]
            verdict = "reached" if total <= goal else "missed"
            print(
                f"{dataset:10} {parts}   total {total:5.1f} ms   goal {goal:.0f} ms {verdict}   ({len(pairs)} of them)"
            )


if __name__ == "__main__":
    main()
